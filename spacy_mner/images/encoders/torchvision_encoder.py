"""Torchvision: any image classifier of torchvision as an image encoder."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from ..torchvision_model import TorchvisionModel
from .image_encoder import ImageEncoder, Outputs, Preprocessing, Regions, make_fingerprint


class Nodes(NamedTuple):
    """Graph nodes of a classifier, and the shape of the features of one image."""

    classifier: str  # the last layer
    features: str  # its input, or the last feature map before it
    logits: str  # the output of the network
    n_regions: int
    dim: int


class Torchvision(ImageEncoder):
    """A torchvision classifier; features are its final hidden layer or its last feature map.

    model: torchvision's name of an image classifier, such as "googlenet".
    weights: torchvision's name of weights ("DEFAULT", "IMAGENET1K_V1"), which torchvision
        downloads at first use; or a file with a state dict (.pth, .pt, .safetensors); or None for
        random weights, for tests.
    regions: "global" is the input of the final classifier layer, "grid" the cells of the last
        feature map (of a vision transformer: its patches).
    seed: of random weights; the global random state is neither used nor changed.

    Raises ValueError for a model or weights that do not exist or do not fit, and OSError for
    weights that cannot be read or downloaded; both at first use.
    """

    def __init__(
        self,
        *,
        model: str = "googlenet",
        weights: str | None = None,
        regions: Regions = "global",
        seed: int = 0,
    ) -> None:
        super().__init__(regions=regions)
        self.model = TorchvisionModel("classifier", model, weights, seed)

    @property
    def dim(self) -> int:
        return self.nodes.dim

    @property
    def n_regions(self) -> int:
        return self.nodes.n_regions

    @cached_property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"{self.model.name}-{self.regions}",
            weights=self.model.identity,
            preprocessing=self.preprocessing,
            extraction="graph nodes",
        )

    @cached_property
    def preprocessing(self) -> Preprocessing:
        preset = self.model.entry.transforms()
        return Preprocessing(
            size=preset.crop_size[0],
            mean=tuple(255 * value for value in preset.mean),
            std=tuple(255 * value for value in preset.std),
            resample=Image.Resampling[preset.interpolation.name],
        )

    @cached_property
    def nodes(self) -> Nodes:
        """The graph nodes that return features, found by a run without data or weights."""
        from torchvision.models.feature_extraction import get_graph_node_names

        network = self._build(None).to("meta")
        layers = [k for k, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        names = get_graph_node_names(network, suppress_diff_warning=True)[1]
        before = names[: names.index(layers[-1])]
        size = self.preprocessing.size
        outputs = _extractor(network, before)(torch.zeros(1, 3, size, size, device="meta"))
        maps = [name for name, output in outputs.items() if _is_map(output)]
        features = before[-1] if self.regions == "global" else maps[-1]
        _, n_regions, dim = self._to_regions(outputs[features]).shape
        return Nodes(layers[-1], features, names[-1], n_regions, dim)

    def load(self) -> nn.Module:
        state = self.model.state()
        last = (state or {}).get(f"{self.nodes.classifier}.weight")
        options = {} if last is None else {"num_classes": len(last)}
        network = self._build(state, **options)
        return _extractor(network, [self.nodes.features, self.nodes.logits])

    def run(self, network: Any, inputs: Tensor) -> Outputs:
        outputs = network(inputs)
        features = self._to_regions(outputs[self.nodes.features])
        return Outputs(features, outputs[self.nodes.logits])

    def _build(self, state: dict[str, Tensor] | None, **options: Any) -> nn.Module:
        if self.model.name in ("googlenet", "inception_v3"):
            # As torchvision builds them for its weights; their own initialization is very slow.
            options.update(aux_logits=False, init_weights=False, transform_input=True)
        elif self.model.name.startswith("vit_"):
            options["image_size"] = self.preprocessing.size
        return self.model.build(state, **options)

    def _to_regions(self, output: Tensor) -> Tensor:
        if output.dim() == 2:
            return output[:, None]
        if output.dim() == 3:  # a vision transformer has the class token before the patches
            return output[:, 1:]
        cells = output.flatten(2).transpose(1, 2)
        # SqueezeNet's last layer is a convolution, whose input is a map.
        return cells.mean(1, keepdim=True) if self.regions == "global" else cells


def _extractor(network: nn.Module, nodes: list[str]) -> nn.Module:
    from torchvision.models.feature_extraction import create_feature_extractor

    return create_feature_extractor(network, nodes, suppress_diff_warning=True)


def _is_map(output: Any) -> bool:
    """Return whether an output is [n, channels, h, w] or [n, patches, dim], not pooled."""
    is_sequence_or_grid = isinstance(output, Tensor) and output.dim() in (3, 4)
    return is_sequence_or_grid and min(output.shape[1:]) > 1

"""Torchvision: any image classifier of torchvision as an image encoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..torchvision_model import TorchvisionModel
from .image_encoder import (
    ImageEncoder,
    Outputs,
    Preprocessing,
    Regions,
    check_regions,
    imagenet_label,
    make_fingerprint,
)

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Nodes:
    """Graph nodes of a classifier, and the sizes of their outputs.

    classifier: the last layer; hidden: its input, [n, dim]; feature_map: the last map or sequence
    of vectors before it, n_cells of width map_dim; logits: the output of the network.
    """

    classifier: str
    hidden: str
    feature_map: str
    logits: str
    dim: int
    map_dim: int
    n_cells: int


class Torchvision(ImageEncoder):
    """A torchvision classifier; features are its final hidden layer or its last feature map.

    model: torchvision's name of an image classifier, such as "googlenet".
    weights: torchvision's name of weights ("DEFAULT", "IMAGENET1K_V1"), which torchvision
        downloads at first use; or a file with a state dict (.pth, .pt, .safetensors); or None for
        random weights, for tests and as a baseline.
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
        super().__init__()
        check_regions(regions)
        self.regions = regions
        self.model = TorchvisionModel("classifier", model, weights, seed)

    @property
    def dim(self) -> int:
        return self.nodes.dim if self.regions == "global" else self.nodes.map_dim

    @property
    def n_regions(self) -> int:
        return 1 if self.regions == "global" else self.nodes.n_cells

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
        """The graph nodes that return features, found without the weights."""
        size = self.preprocessing.size
        return find_nodes(self._skeleton(), torch.zeros(1, 3, size, size, device="meta"))

    def load(self) -> nn.Module:
        from torchvision.models.feature_extraction import create_feature_extractor

        n_classes = IMAGENET_CLASSES
        if self.model.file is not None:
            weight = self.model.state().get(f"{self.nodes.classifier}.weight")
            n_classes = IMAGENET_CLASSES if weight is None else len(weight)
        network = self.model.build(self.preprocessing.size, **self._options(n_classes)).eval()
        nodes = [self.nodes.hidden, self.nodes.feature_map, self.nodes.logits]
        return create_feature_extractor(network, nodes, suppress_diff_warning=True)

    def run(self, network: Any, inputs: Tensor) -> Outputs:
        outputs = network(inputs)
        if self.regions == "global":
            features = _vector(outputs[self.nodes.hidden])[:, None]
        else:
            features = _cells(outputs[self.nodes.feature_map])
        return Outputs(features=features, logits=outputs[self.nodes.logits])

    def label(self, index: int, n_classes: int) -> str:
        return imagenet_label(index) if n_classes == IMAGENET_CLASSES else f"class {index}"

    def _options(self, n_classes: int) -> dict[str, Any]:
        options: dict[str, Any] = {"num_classes": n_classes}
        if self.model.name in ("googlenet", "inception_v3"):
            # As torchvision builds them for its weights; their own initialization is very slow.
            options.update(aux_logits=False, init_weights=False, transform_input=True)
        elif self.model.name.startswith("vit_"):
            options["image_size"] = self.preprocessing.size
        return options

    def _skeleton(self) -> nn.Module:
        """Build the network on the meta device: without storage for weights."""
        from torchvision.models import get_model

        options = self._options(IMAGENET_CLASSES)
        try:
            with torch.device("meta"):
                return get_model(self.model.name, weights=None, **options).eval()
        except NotImplementedError:
            # RegNet computes its widths from the values of tensors, which meta tensors lack.
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                return get_model(self.model.name, weights=None, **options).eval().to("meta")


def find_nodes(network: nn.Module, inputs: Tensor) -> Nodes:
    """Trace a classifier and run it once, on the device of its parameters."""
    from torchvision.models.feature_extraction import (
        create_feature_extractor,
        get_graph_node_names,
    )

    names = get_graph_node_names(network, suppress_diff_warning=True)[1]
    modules = dict(network.named_modules())
    layers = [name for name in names if isinstance(modules.get(name), nn.Linear | nn.Conv2d)]
    before = names[: names.index(layers[-1])]
    extractor = create_feature_extractor(network, before, suppress_diff_warning=True)
    with torch.inference_mode():
        outputs = extractor(inputs)
    feature_map = next(name for name in reversed(before) if _is_map(outputs[name]))
    n_cells, map_dim = _cells(outputs[feature_map]).shape[1:]
    dim = _vector(outputs[before[-1]]).shape[1]
    return Nodes(layers[-1], before[-1], feature_map, names[-1], dim, map_dim, n_cells)


def _is_map(output: Any) -> bool:
    if not isinstance(output, Tensor):
        return False
    is_sequence = output.dim() == 3 and output.shape[1] > 1
    return is_sequence or (output.dim() == 4 and min(output.shape[2:]) > 1)


def _vector(hidden: Tensor) -> Tensor:
    # SqueezeNet's last layer is a convolution, whose input is a map.
    return hidden.flatten(2).mean(2) if hidden.dim() == 4 else hidden


def _cells(feature_map: Tensor) -> Tensor:
    # A vision transformer has the class token before the patches.
    is_grid = feature_map.dim() == 4
    return feature_map.flatten(2).transpose(1, 2) if is_grid else feature_map[:, 1:]

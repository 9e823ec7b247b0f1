"""Torchvision: any image classifier of torchvision as an image encoder."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from ..image_model import make_fingerprint
from .image_encoder import ImageClassifier, Outputs, Preprocessing, Regions
from .saved_encoder import Description, SavedEncoder, Weights

SUFFIXES = (".pth", ".pt", ".safetensors")

# Auxiliary heads of GoogLeNet and Inception v3, used in training only.
AUXILIARY = re.compile(r"(aux\d|AuxLogits)\.")

# torchvision's DenseNet files contain "norm.1" where its code has "norm1".
DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class Nodes(NamedTuple):
    """Graph nodes of a classifier, and the shape of the features of one image."""

    classifier: str  # the last layer
    features: str  # its input, or the last feature map before it
    logits: str  # the output of the network
    n_regions: int
    dim: int


class Torchvision(SavedEncoder, ImageClassifier):
    """A torchvision classifier; features are its final hidden layer or its last feature map.

    model: torchvision's name of an image classifier, such as "googlenet".
    weights: torchvision's name of weights ("DEFAULT", "IMAGENET1K_V1"), which torchvision
        downloads at first use; or a file with a state dict (.pth, .pt, .safetensors); or None for
        random weights, for tests. A saved pipeline holds them.
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
        self.model, self.weights, self.seed = model, weights, seed
        path = Path(weights or "")
        self.file = path if path.suffix.lower() in SUFFIXES else None

    @property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"{self.model}-{self.regions}",
            weights=self.description.weights,
            preprocessing=self.preprocessing,
            extraction="graph nodes",
        )

    @property
    def _source(self) -> str:
        return str(self.file or (self.weights and self._entry.url))

    @property
    def _entry(self) -> Any:
        """torchvision's weights entry, which has the preprocessing and the address."""
        from torchvision import models

        known = models.list_models(models)
        if self.model in known:
            known = models.get_model_weights(self.model).__members__
            key = "DEFAULT" if self.weights is None or self.file else self.weights
            if key in known:
                return known[key]
        raise ValueError(
            f"torchvision has no classifier {self.model!r} with weights {self.weights!r}; it has "
            f"{', '.join(known)}. A file name must end in {', '.join(SUFFIXES)}"
        )

    def describe(self) -> Description:
        import torchvision

        preset = self._entry.transforms()
        preprocessing = Preprocessing(
            size=preset.crop_size[0],
            mean=tuple(255 * value for value in preset.mean),
            std=tuple(255 * value for value in preset.std),
            resample=Image.Resampling[preset.interpolation.name],
        )
        if self.file is not None:
            identity = hashlib.sha256(self.file.read_bytes()).hexdigest()
        elif self.weights is not None:
            identity = self._source
        else:
            identity = f"initialization {self.seed}, torchvision {torchvision.__version__}"
        nodes = find_nodes(self.model, self.regions, preprocessing.size)
        return Description({}, identity, preprocessing, nodes.n_regions, nodes.dim)

    def load_source(self) -> nn.Module:
        return self.build(self._read_weights())

    def _read_weights(self) -> Weights:
        if self.weights is None:
            return build_classifier(self.model, self.preprocessing.size, self.seed).state_dict()
        try:
            if self.file is None:
                state = self._entry.get_state_dict(progress=False, check_hash=True)
            elif self.file.suffix.lower() == ".safetensors":
                state = load_file(self.file)
            else:
                state = torch.load(self.file, map_location="cpu", weights_only=True)
            tensors = {DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}
            return {name: t for name, t in tensors.items() if not AUXILIARY.match(name)}
        except OSError as error:
            raise OSError(
                f"cannot load the weights {self._source} of {self.model}: {error}. Set weights to "
                "a file with a state dict of this model"
            ) from error
        # The parsers raise many types of errors; a list of tensors has no names.
        except Exception as error:
            raise ValueError(
                f"{self._source} is not a state dict: write it with torch.save(model.state_dict(), "
                "…) or safetensors.torch.save_file"
            ) from error

    def build(self, weights: Weights) -> nn.Module:
        size = self.preprocessing.size
        nodes = find_nodes(self.model, self.regions, size)
        last = weights.get(f"{nodes.classifier}.weight")
        options = {} if last is None else {"num_classes": len(last)}
        network = build_classifier(self.model, size, **options)
        network = _extractor(network, {nodes.features: "features", nodes.logits: "logits"})
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"the weights {self._source} do not fit {self.model}: {error}"
            ) from error
        return network

    def run(self, network: Any, inputs: Tensor) -> Outputs:
        outputs = network(inputs)
        return Outputs(_to_regions(outputs["features"], self.regions), outputs["logits"])


def build_classifier(model: str, size: int, seed: int = 0, **options: Any) -> nn.Module:
    """Build a classifier of torchvision on the CPU, with random weights."""
    from torchvision.models import get_model

    if model in ("googlenet", "inception_v3"):
        # As torchvision builds them for its weights; their own initialization is very slow.
        options.update(aux_logits=False, init_weights=False, transform_input=True)
    elif model.startswith("vit_"):
        options["image_size"] = size
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which also seeds accelerators.
        torch.random.default_generator.manual_seed(seed)
        return get_model(model, weights=None, **options).eval()


@lru_cache
def find_nodes(model: str, regions: Regions, size: int) -> Nodes:
    """Return the graph nodes of the features, found by a run without data or weights."""
    from torchvision.models.feature_extraction import get_graph_node_names

    network = build_classifier(model, size).to("meta")
    layers = [k for k, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    names = get_graph_node_names(network, suppress_diff_warning=True)[1]
    before = names[: names.index(layers[-1])]
    outputs = _extractor(network, before)(torch.zeros(1, 3, size, size, device="meta"))
    maps = [name for name, output in outputs.items() if _is_map(output)]
    features = before[-1] if regions == "global" else maps[-1]
    _, n_regions, dim = _to_regions(outputs[features], regions).shape
    return Nodes(layers[-1], features, names[-1], n_regions, dim)


def _to_regions(output: Tensor, regions: Regions) -> Tensor:
    if output.dim() == 2:
        return output[:, None]
    if output.dim() == 3:  # a vision transformer has the class token before the patches
        return output[:, 1:]
    cells = output.flatten(2).transpose(1, 2)
    # SqueezeNet's last layer is a convolution, whose input is a map.
    return cells.mean(1, keepdim=True) if regions == "global" else cells


def _extractor(network: nn.Module, nodes: list[str] | dict[str, str]) -> nn.Module:
    from torchvision.models.feature_extraction import create_feature_extractor

    return create_feature_extractor(network, nodes, suppress_diff_warning=True)


def _is_map(output: Any) -> bool:
    """Return whether an output is [n, channels, h, w] or [n, patches, dim], not pooled."""
    is_sequence_or_grid = isinstance(output, Tensor) and output.dim() in (3, 4)
    return is_sequence_or_grid and min(output.shape[1:]) > 1

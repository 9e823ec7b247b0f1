"""Any classifier of torchvision as an image encoder, with its own weights, a file's, or none."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..torchvision_weights import Choice, clean_state, draw
from .image_encoder import (
    ImageEncoder,
    Outputs,
    Preprocessing,
    Regions,
    check_regions,
    imagenet_label,
    make_fingerprint,
)
from .layout_probe import Layout, find_layout, watch

IMAGENET_CLASSES = 1000


class Torchvision(ImageEncoder):
    """A torchvision classifier, described by its final hidden layer or its last feature map.

    model: torchvision's name of an image classifier, such as "googlenet".
    weights: torchvision's name of weights ("DEFAULT", "IMAGENET1K_V1"), which torchvision
        downloads on first use; or a file with a state dict (.pth, .pt, .safetensors); or None for
        random weights, for tests and as a baseline.
    regions: "global" is the input of the final classifier layer, "grid" the cells of the last
        feature map (of a vision transformer: its patches).
    seed: of the random weights; the global random state is neither used nor changed.

    Raises ValueError for a model or weights that do not exist or do not fit, and OSError for
    weights that cannot be read or downloaded; both on first use.
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
        self.model = model
        self.weights = weights
        self.regions = regions
        self.seed = seed
        self._choice = Choice("classifier", model, weights, seed)

    @property
    def dim(self) -> int:
        return self.layout.dim if self.regions == "global" else self.layout.map_dim

    @property
    def n_regions(self) -> int:
        return 1 if self.regions == "global" else self.layout.n_cells

    @cached_property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"{self.model}-{self.regions}",
            weights=self._choice.identity,
            preprocessing=self.preprocessing,
        )

    @cached_property
    def preprocessing(self) -> Preprocessing:
        preset = self._choice.entry.transforms()
        return Preprocessing(
            size=preset.crop_size[0],
            mean=tuple(255 * value for value in preset.mean),
            std=tuple(255 * value for value in preset.std),
            resample=Image.Resampling[preset.interpolation.name],
        )

    @cached_property
    def layout(self) -> Layout:
        """Where in the network the features are, found without its weights."""
        size = self.preprocessing.size
        return find_layout(
            self._skeleton().eval(), torch.zeros(1, 3, size, size, device="meta"), IMAGENET_CLASSES
        )

    def load(self) -> nn.Module:
        if self.weights is None:
            return draw(partial(self._build, IMAGENET_CLASSES), self.preprocessing.size, self.seed)
        state = clean_state(self._choice.state())
        last = state.get(f"{self.layout.classifier}.weight")
        n_classes = IMAGENET_CLASSES if last is None else last.shape[0]
        # Built with storage rather than on the meta device: some buffers are in no state dict.
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            network = self._build(n_classes)
        return self._choice.fill(network, state)

    def run(self, network: nn.Module, inputs: Tensor) -> Outputs:
        with watch(network, self.layout) as seen:
            logits = network(inputs)
        features = seen.vector[:, None] if self.regions == "global" else seen.cells
        return Outputs(features=features, logits=logits)

    def label(self, index: int, n_classes: int) -> str:
        return imagenet_label(index) if n_classes == IMAGENET_CLASSES else f"class {index}"

    def _build(self, n_classes: int) -> nn.Module:
        from torchvision.models import get_model

        options: dict[str, Any] = {}
        if self.model in ("googlenet", "inception_v3"):
            # As torchvision builds them for its weights; its own initialization is very slow.
            options = {"aux_logits": False, "init_weights": False, "transform_input": True}
        elif self.model.startswith("vit_"):
            options = {"image_size": self.preprocessing.size}
        return get_model(self.model, weights=None, num_classes=n_classes, **options)

    def _skeleton(self) -> nn.Module:
        """The network without storage for its weights."""
        try:
            with torch.device("meta"):
                return self._build(IMAGENET_CLASSES)
        except NotImplementedError:
            # RegNet computes its widths with tensors, which must exist for that.
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                return self._build(IMAGENET_CLASSES).to("meta")


def build_torchvision(
    model: str = "googlenet",
    weights: str | None = None,
    regions: Regions = "global",
    seed: int = 0,
) -> ImageEncoder:
    """Describe images by a classifier of torchvision."""
    return Torchvision(model=model, weights=weights, regions=regions, seed=seed)

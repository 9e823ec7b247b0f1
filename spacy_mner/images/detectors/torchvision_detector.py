"""Any object detector of torchvision, with its own weights, a file's, or none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..encoders.image_encoder import make_fingerprint
from ..torchvision_weights import Choice, draw
from .object_detector import LONGEST, SHORTEST, Detections, ObjectDetector

# torchvision trained the weights COCO_V1 of these with a batch normalization that adds nothing to
# the variance, and sets it so where it loads them itself.
NOTHING_ADDED = {
    "fasterrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
}
# Of the images that the statistics of random weights are taken from.
RANDOM_SIZE = 128


class TorchvisionDetector(ObjectDetector):
    """A torchvision detector of the 80 kinds of objects of COCO (Lin et al. 2014).

    model: torchvision's name of a detector, such as "fasterrcnn_resnet50_fpn_v2".
    weights: torchvision's name of weights ("DEFAULT", "COCO_V1"), which torchvision downloads on
        first use; or a file with a state dict (.pth, .pt, .safetensors); or None for random
        weights, for tests.
    threshold: least score of an object, from 0 to 1.
    seed: of the random weights; the global random state is neither used nor changed.

    Raises ValueError for a model or weights that do not exist or do not fit, and OSError for
    weights that cannot be read or downloaded; both on first use.
    """

    def __init__(
        self,
        *,
        model: str = "fasterrcnn_mobilenet_v3_large_320_fpn",
        weights: str | None = None,
        threshold: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(threshold)
        self._choice = Choice("detector", model, weights, seed)

    @cached_property
    def labels(self) -> Sequence[str]:
        return tuple(self._choice.entry.meta["categories"])

    @cached_property
    def fingerprint(self) -> str:
        return make_fingerprint(
            self._choice.model,
            weights=self._choice.identity,
            labels=self.labels,
            threshold=self.threshold,
            sizes=(SHORTEST, LONGEST),
        )

    def load(self) -> nn.Module:
        choice = self._choice
        if choice.weights is None:
            network = draw(self._build, RANDOM_SIZE, choice.seed)
        else:
            state = choice.state()
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                network = choice.fill(self._build(), state)
            if choice.model in NOTHING_ADDED and choice.entry.name == "COCO_V1":
                for norm in network.modules():
                    if isinstance(norm, nn.BatchNorm2d):
                        norm.eps = 0.0
        # One network throws away by this what is below it, another only what stays of it.
        heads: Any = getattr(network, "roi_heads", network)
        heads.score_thresh = self.threshold
        return network

    def run(self, network: Any, image: Tensor) -> Detections:
        [found] = network([image])
        return Detections(found["labels"], found["boxes"], found["scores"])

    def _build(self) -> nn.Module:
        from torchvision.models import get_model

        # Without the second, torchvision downloads weights for the backbone.
        return get_model(
            self._choice.model,
            weights=None,
            weights_backbone=None,
            num_classes=len(self.labels),
        )


def build_torchvision_detector(
    model: str = "fasterrcnn_mobilenet_v3_large_320_fpn",
    weights: str | None = None,
    threshold: float = 0.5,
    seed: int = 0,
) -> ObjectDetector:
    """Find the objects in images by a detector of torchvision."""
    return TorchvisionDetector(model=model, weights=weights, threshold=threshold, seed=seed)

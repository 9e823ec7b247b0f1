"""TorchvisionDetector: any object detector of torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from ..encoders.image_encoder import make_fingerprint
from ..torchvision_model import TorchvisionModel
from .object_detector import LONGEST, SHORTEST, Detections, ObjectDetector

# torchvision trained the COCO_V1 weights of these models with eps = 0 in batch normalization.
ZERO_EPS_BATCHNORM = {
    "fasterrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
}


class TorchvisionDetector(ObjectDetector):
    """A torchvision detector of the 80 object classes of COCO (Lin et al. 2014).

    model: torchvision's name of a detector, such as "fasterrcnn_resnet50_fpn_v2".
    weights: torchvision's name of weights ("DEFAULT", "COCO_V1"), a file, or None for random
        weights; see the image encoder `Torchvision`, also for `seed`
        and the errors.
    threshold: minimum score of an object, from 0 to 1.
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
        self.model = TorchvisionModel("detector", model, weights, seed)

    @cached_property
    def labels(self) -> Sequence[str]:
        return tuple(self.model.entry.meta["categories"])

    @cached_property
    def fingerprint(self) -> str:
        return make_fingerprint(
            self.model.name,
            weights=self.model.identity,
            labels=self.labels,
            threshold=self.threshold,
            sizes=(SHORTEST, LONGEST),
        )

    def load(self) -> nn.Module:
        # Without weights_backbone=None, torchvision downloads weights for the backbone.
        options = {"weights_backbone": None, "num_classes": len(self.labels)}
        network = self.model.build(self.model.state(), **options)
        if self.model.name in ZERO_EPS_BATCHNORM and self.model.entry.name == "COCO_V1":
            for norm in network.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.eps = 0.0
        # Two-stage detectors have the threshold in their roi_heads, one-stage ones at the top.
        heads: Any = getattr(network, "roi_heads", network)
        heads.score_thresh = self.threshold
        return network

    def run(self, network: Any, image: Tensor) -> Detections:
        [found] = network([image])
        return Detections(found["labels"], found["boxes"], found["scores"])

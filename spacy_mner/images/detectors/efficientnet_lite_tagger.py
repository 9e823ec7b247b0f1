"""EfficientNetLiteTagger: ImageNet labels of the whole image, in the place of detected objects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..encoders.efficientnet_lite import ARCHITECTURE, WEIGHTS_SHA256, EfficientNetLite
from ..encoders.image_encoder import IMAGENET_CLASSES, imagenet_label
from ..image_model import make_fingerprint
from .object_detector import Detections, ObjectDetector


class EfficientNetLiteTagger(ObjectDetector):
    """Tags an image with its most probable ImageNet classes by EfficientNet-Lite0.

    It classifies the whole image and locates nothing: each tag is an object whose box is the
    image. An image of one object is tagged well, one of many objects poorly. The weights are
    installed with spacy-mner.

    threshold: minimum probability of a tag, from 0 to 1.

    Raises ValueError for another threshold, and at first use the errors of EfficientNetLite.
    """

    def __init__(self, *, threshold: float = 0.05) -> None:
        super().__init__(threshold)
        self._encoder = EfficientNetLite()

    @cached_property
    def labels(self) -> Sequence[str]:
        return ("background", *map(imagenet_label, range(IMAGENET_CLASSES)))

    @property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"{ARCHITECTURE}-tags", weights=WEIGHTS_SHA256, threshold=self.threshold
        )

    def check_installed(self) -> None:
        self._encoder.check_installed()

    def load(self) -> nn.Module:
        return self._encoder.load()

    def run(self, network: Any, image: Tensor) -> Detections:
        preprocessing = self._encoder.preprocessing
        size = (preprocessing.size, preprocessing.size)
        resized = functional.interpolate(image[None], size, mode="bicubic", antialias=True)
        mean, std = (
            image.new_tensor(values)[:, None, None]
            for values in (preprocessing.mean, preprocessing.std)
        )
        inputs = (255 * resized.clamp(0, 1) - mean) / std
        logits = self._encoder.run(network, inputs).logits
        assert logits is not None
        probabilities = logits[0].softmax(0)
        scores, classes = probabilities.sort(descending=True)
        kept = scores >= self.threshold
        height, width = image.shape[1:]
        boxes = image.new_tensor([0, 0, width, height]).expand(int(kept.sum()), 4)
        return Detections(classes[kept] + 1, boxes, scores[kept])

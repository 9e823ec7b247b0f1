"""EfficientNetLiteTagger: ImageNet labels of the whole image, in the place of detected objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...errors import ImageError
from ..encoders.efficientnet_lite import ARCHITECTURE, EfficientNetLite
from ..image_model import check_threshold, make_fingerprint
from ..image_objects import ImageObject
from .object_detector import MAX_OBJECTS, ObjectDetector

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)


class EfficientNetLiteTagger(ObjectDetector):
    """Tags an image with its most probable ImageNet classes by EfficientNet-Lite0.

    It classifies the whole image and locates nothing: each tag is an object whose box is the
    image. An image of one object is tagged well, one of many objects poorly. The weights are
    installed with spacy-mner; ONNX Runtime computes on a CPU where it is installed, also while
    other components are trained on the tags, which are those of torch up to rounding.

    threshold: minimum probability of a tag, from 0 to 1.

    Raises ValueError for another threshold, and at first use the errors of EfficientNetLite.
    """

    def __init__(self, *, threshold: float = 0.05) -> None:
        self.threshold = check_threshold(threshold)
        self._encoder = EfficientNetLite()

    @property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"{ARCHITECTURE}-tags", encoder=self._encoder.fingerprint, threshold=self.threshold
        )

    def check_installed(self) -> None:
        self._encoder.check_installed()

    def batch_size(self, device: torch.device | None) -> int:
        return self._encoder.batch_size(device)

    def compute(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[list[ImageObject] | ImageError]:
        tags_of_images = self._encoder.tags(images, MAX_OBJECTS, device, is_train)
        return [
            [
                ImageObject(label, probability, WHOLE_IMAGE)
                for label, probability in tags
                if probability >= self.threshold
            ]
            for tags in tags_of_images
        ]

"""What an image as a whole shows, as objects: no download, and no boxes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..encoders.efficientnet_lite import ARCHITECTURE, WEIGHTS_SHA256, EfficientNetLite
from ..encoders.image_encoder import imagenet_label, make_fingerprint
from .object_detector import Detections, ObjectDetector

N_CLASSES = 1000


class EfficientNetLiteTagger(ObjectDetector):
    """The classes of ImageNet that EfficientNet-Lite0 takes an image for, each as an object.

    It looks at the whole image at once, so that the box of every object is the image; an image
    of one thing it names well, one of many things poorly. Its weights are installed with
    spacy-mner.

    threshold: least probability of an object, from 0 to 1.

    Raises ValueError for another threshold, and on first use what EfficientNetLite raises.
    """

    def __init__(self, *, threshold: float = 0.05) -> None:
        super().__init__(threshold)
        self._encoder = EfficientNetLite()

    @cached_property
    def labels(self) -> Sequence[str]:
        return ("nothing", *map(imagenet_label, range(N_CLASSES)))

    @property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"{ARCHITECTURE}-objects", weights=WEIGHTS_SHA256, threshold=self.threshold
        )

    def check_installed(self) -> None:
        self._encoder.check_installed()

    def load(self) -> nn.Module:
        return self._encoder.load()

    def run(self, network: Any, image: Tensor) -> Detections:
        how = self._encoder.preprocessing
        resized = functional.interpolate(
            image[None], (how.size, how.size), mode="bicubic", antialias=True
        )
        mean, std = (image.new_tensor(values)[:, None, None] for values in (how.mean, how.std))
        inputs = (255 * resized.clamp(0, 1) - mean) / std
        scores, classes = (
            self._encoder.run(network, inputs).logits[0].softmax(0).sort(descending=True)
        )
        is_sure = scores >= self.threshold
        height, width = image.shape[1:]
        boxes = torch.tensor([[0, 0, width, height]]).expand(int(is_sure.sum()), 4)
        return Detections(classes[is_sure] + 1, boxes, scores[is_sure])


def build_efficientnet_lite_tagger(threshold: float = 0.05) -> ObjectDetector:
    """Take what EfficientNet-Lite0 sees in the image as a whole for the objects in it."""
    return EfficientNetLiteTagger(threshold=threshold)

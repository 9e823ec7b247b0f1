"""ObjectDetector, the base class of object detectors."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import ImageError
from ..frozen_network import FrozenNetwork
from ..image_objects import ImageObject, read_objects, write_objects

# Objects per image at most; detectors rarely return more.
MAX_OBJECTS = 100

# Images with a longer side above LONGEST pixels are downscaled, to bound memory (a detector
# resizes to a smaller size anyway); those with a shorter side below SHORTEST are upscaled,
# because a detector's feature maps would be empty.
LONGEST, SHORTEST = 2048, 32

# Estimated memory of an ImageObject.
OBJECT_BYTES = 400


@dataclass(frozen=True)
class Detections:
    """The output of a detector for one image, sorted by descending score.

    classes: int64 [n]. boxes: float [n, 4], left, top, right, bottom in pixels. scores: float [n].
    """

    classes: Tensor
    boxes: Tensor
    scores: Tensor


class ObjectDetector(FrozenNetwork[list[ImageObject]]):
    """A frozen network that returns the objects in an image, sorted by descending score.

    Images are processed one by one, so that results do not depend on the batch.

    threshold: minimum score of an object, from 0 to 1. Raises ValueError for another.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold must be between 0 and 1, got {threshold}")
        self.threshold = threshold

    @property
    @abstractmethod
    def labels(self) -> Sequence[str]:
        """The class names; class 0 is the background."""

    @abstractmethod
    def run(self, network: Any, image: Tensor) -> Detections:
        """Apply the network to float32 [3, h, w], values from 0 to 1."""

    def compute(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[list[ImageObject] | ImageError]:
        if not images:
            return []
        network, device = self.network_on(device)
        return [self._detect(network, _to_tensor(image).to(device)) for image in images]

    def _detect(self, network: Any, pixels: Tensor) -> list[ImageObject] | ImageError:
        with torch.inference_mode():
            found = self.run(network, pixels)
        height, width = pixels.shape[1:]
        size = pixels.new_tensor([width, height, width, height])
        boxes = (found.boxes[:MAX_OBJECTS] / size).clamp(0, 1)
        scores = found.scores[:MAX_OBJECTS]
        if boxes.isnan().any() or scores.isnan().any():
            return ImageError("the object detector returned NaN")
        rows = zip(found.classes.tolist(), scores.tolist(), boxes.tolist(), strict=False)
        return [
            ImageObject(self.labels[index], score, (x0, y0, x1, y1))
            for index, score, (x0, y0, x1, y1) in rows
            if index > 0
        ]

    def nbytes(self, result: list[ImageObject]) -> int:
        return OBJECT_BYTES * (1 + len(result))

    def to_bytes(self, result: list[ImageObject]) -> bytes:
        return json.dumps(write_objects(result)).encode()

    def from_bytes(self, data: bytes) -> list[ImageObject]:
        return read_objects(json.loads(data))


def _to_tensor(image: np.ndarray) -> Tensor:
    height, width = image.shape[:2]
    scale = min(LONGEST / max(height, width), 1.0)
    size = (max(round(width * scale), SHORTEST), max(round(height * scale), SHORTEST))
    if size != (width, height):
        resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        image = np.asarray(resized)
    return torch.from_numpy(image.transpose(2, 0, 1).copy()).float() / 255

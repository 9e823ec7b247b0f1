"""What every object detector is: images in, the objects in them out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..frozen_network import FrozenNetwork
from ..image_objects import ImageObject

# Objects that are kept of one image. A detector of torchvision gives hardly more.
MAX_OBJECTS = 100
# What is kept of an object: its class, its box (4) and its score.
FIELDS = 6
# Up to here whole numbers survive being kept in float16.
MAX_CLASSES = 2048

# Pixels of the longer side above which an image is made smaller, against large tensors (a
# detector makes its own, smaller size of it anyway); and of the shorter, below which it is made
# larger, because a detector would leave nothing of it.
LONGEST, SHORTEST = 2048, 32


@dataclass(frozen=True)
class Detections:
    """What a detector finds in an image, the surest first.

    classes: int64 [n]. boxes: float [n, 4], left, top, right, bottom in pixels. scores: float [n].
    """

    classes: Tensor
    boxes: Tensor
    scores: Tensor


class ObjectDetector(FrozenNetwork):
    """A frozen detector: it finds the objects in an image and names them.

    Every image is looked at by itself, so that what is found depends on nothing else. What is
    found has the shape that FeatureCache keeps: [MAX_OBJECTS, FIELDS], from the surest object on,
    and zeros after the last; boxes in shares of the image's width and height.

    threshold: least score of an object, from 0 to 1. Raises ValueError for another.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold must be between 0 and 1, got {threshold}")
        self.threshold = threshold

    @property
    def dim(self) -> int:
        return FIELDS

    @property
    def n_regions(self) -> int:
        return MAX_OBJECTS

    @property
    @abstractmethod
    def labels(self) -> Sequence[str]:
        """The names of the classes; class 0 is no object. Known without the weights."""

    @abstractmethod
    def run(self, network: Any, image: Tensor) -> Detections:
        """Apply the network to float32 [3, h, w], values from 0 to 1."""

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        found = [self._detect(image) for image in images]
        return np.stack(found) if found else np.zeros((0, MAX_OBJECTS, FIELDS), dtype=np.float32)

    def objects(self, found: np.ndarray) -> list[ImageObject]:
        """The objects in what `encode` says of one image [MAX_OBJECTS, FIELDS]."""
        objects = []
        for index, *box, score in found[found[:, 0] > 0].tolist():
            x0, y0, x1, y1 = box
            objects.append(ImageObject(self.labels[int(index)], score, (x0, y0, x1, y1)))
        return objects

    def _detect(self, image: np.ndarray) -> np.ndarray:
        with self._lock:
            network, device = self._loaded()
        if len(self.labels) > MAX_CLASSES:
            raise ValueError(f"{type(self).__name__} has over {MAX_CLASSES} classes")
        pixels = _to_tensor(image).to(device)
        with torch.inference_mode():
            found = self.run(network, pixels)
        height, width = pixels.shape[1:]
        kept = np.zeros((MAX_OBJECTS, FIELDS), dtype=np.float32)
        classes, boxes, scores = (
            part[:MAX_OBJECTS].float().cpu().numpy()
            for part in (found.classes, found.boxes, found.scores)
        )
        kept[: len(classes), 0] = classes
        kept[: len(classes), 1:5] = (boxes / (width, height, width, height)).clip(0, 1)
        kept[: len(classes), 5] = scores
        return kept


def _to_tensor(image: np.ndarray) -> Tensor:
    height, width = image.shape[:2]
    shrink = min(LONGEST / max(height, width), 1.0)
    size = (max(round(width * shrink), SHORTEST), max(round(height * shrink), SHORTEST))
    if size != (width, height):
        resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        image = np.asarray(resized)
    return torch.from_numpy(image.transpose(2, 0, 1).copy()).float() / 255

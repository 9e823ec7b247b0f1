"""ObjectDetector, the base class of object detectors."""

from __future__ import annotations

import json

from ..image_model import ImageModel
from ..image_objects import ImageObject, read_objects, write_objects

# Objects per image at most; detectors rarely return more.
MAX_OBJECTS = 100

# Estimated memory of an ImageObject.
OBJECT_BYTES = 400


class ObjectDetector(ImageModel[list[ImageObject]]):
    """Returns the objects in an image, at most MAX_OBJECTS, sorted by descending score."""

    def nbytes(self, result: list[ImageObject]) -> int:
        return OBJECT_BYTES * (1 + len(result))

    def to_bytes(self, result: list[ImageObject]) -> bytes:
        return json.dumps(write_objects(result)).encode()

    def from_bytes(self, data: bytes) -> list[ImageObject]:
        return read_objects(json.loads(data))

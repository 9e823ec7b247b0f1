"""ImageReader, the base class of models that return text about an image or in it."""

from __future__ import annotations

import sys

from ..image_model import ImageModel


class ImageReader(ImageModel[str]):
    """Returns the text of an image, "" for an image without text."""

    def nbytes(self, result: str) -> int:
        return sys.getsizeof(result)

    def to_bytes(self, result: str) -> bytes:
        return result.encode()

    def from_bytes(self, data: bytes) -> str:
        return data.decode()

"""The component `image_objects`: the objects in the images of posts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from ..images.image_objects import ImageObject, write_objects
from .image_annotator import ImageAnnotator


class ImageObjects(ImageAnnotator[list[ImageObject]]):
    """Sets `doc._.image_objects` where it is None: the objects in a post's images, in their order.

    It is [] where nothing is found.
    """

    attribute = "image_objects"

    def merge(self, results: Sequence[list[ImageObject]]) -> list[Any]:
        return write_objects(chain.from_iterable(results))

"""The component `image_text`: the text in the images of posts, or about them."""

from __future__ import annotations

from collections.abc import Sequence

from .image_annotator import ImageAnnotator


class ImageText(ImageAnnotator[str]):
    """Sets `doc._.image_text` where it is None: the texts of a post's images, one per line.

    It is "" where the images have no text.
    """

    attribute = "image_text"

    def merge(self, results: Sequence[str]) -> str:
        return "\n".join(text for text in results if text)

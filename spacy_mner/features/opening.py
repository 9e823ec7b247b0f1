"""The images of posts, opened."""

from __future__ import annotations

from pathlib import Path

from spacy.tokens import Doc

from ..errors import ImageError
from ..images.reference import LazyImage, open_image, references

# Images of training posts that are opened to find out whether images_root is right.
N_TRIED = 20


def open_images(doc: Doc, images_root: Path | None) -> list[LazyImage | ImageError]:
    """The images in `doc._.image`, or what is wrong with them; none is read yet."""
    opened: list[LazyImage | ImageError] = []
    for reference in references(doc._.image):
        try:
            opened.append(open_image(reference, images_root))
        except ImageError as error:
            opened.append(error)
    return opened


class FirstImages:
    """The first images of the training posts, opened to find out whether any can be."""

    def __init__(self) -> None:
        self._tried: list[LazyImage | ImageError] = []

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        """See one training post that has an image."""
        if len(self._tried) < N_TRIED:
            self._tried += open_images(doc, images_root)

    def finalize(self) -> None:
        """Raise ValueError where none of many can be opened; the next initialization begins anew.

        What is missing is a folder rather than images, then.
        """
        tried, self._tried = self._tried, []
        failures = [one for one in tried if isinstance(one, ImageError)]
        if len(failures) == len(tried) >= N_TRIED:
            raise ValueError(
                f"None of the first {len(failures)} images of the training posts can be opened "
                f"(the first: {failures[0]}). Set images_root (with our configs "
                "--paths.images_root) to the folder that their paths are relative to, or the "
                "image modality to null."
            )

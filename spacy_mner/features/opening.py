"""Opening the images of posts."""

from __future__ import annotations

from pathlib import Path

from spacy.tokens import Doc

from ..errors import ImageError
from ..images.reference import LazyImage, open_image, references

# Training images that are opened to check images_root.
N_CHECKED = 20


def open_images(doc: Doc, images_root: Path | None) -> list[LazyImage | ImageError]:
    """Return the images of `doc._.image`, not yet read, or why one cannot be used."""
    opened: list[LazyImage | ImageError] = []
    for reference in references(doc._.image):
        try:
            opened.append(open_image(reference, images_root))
        except ImageError as error:
            opened.append(error)
    return opened


class ImagesRootCheck:
    """Checks that some of the first images of the training posts can be opened."""

    def __init__(self) -> None:
        self._opened: list[LazyImage | ImageError] = []

    def update(self, doc: Doc, images_root: Path | None) -> None:
        """Open the images of one training post, unless enough are opened."""
        if len(self._opened) < N_CHECKED:
            self._opened += open_images(doc, images_root)

    def finalize(self) -> None:
        """Raise ValueError if none of N_CHECKED images can be opened: then images_root is wrong."""
        opened, self._opened = self._opened, []  # reset for another initialization
        failures = [one for one in opened if isinstance(one, ImageError)]
        if len(failures) == len(opened) >= N_CHECKED:
            raise ValueError(
                f"None of the first {len(failures)} images of the training posts can be opened "
                f"(the first: {failures[0]}). Set images_root (with our configs "
                "--paths.images_root) to the folder that their paths are relative to, or the "
                "image modality to null."
            )

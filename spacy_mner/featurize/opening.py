"""The pictures of posts, opened."""

from __future__ import annotations

from pathlib import Path

from spacy.tokens import Doc

from ..images.reference import Picture, PictureError, open_picture, references

# Pictures of training posts that are opened to find out whether images_root is right.
N_TRIED = 20


def open_pictures(doc: Doc, images_root: Path | None) -> list[Picture | PictureError]:
    """The pictures in `doc._.image`, or what is wrong with them; none is read yet."""
    opened: list[Picture | PictureError] = []
    for reference in references(doc._.image):
        try:
            opened.append(open_picture(reference, images_root))
        except PictureError as error:
            opened.append(error)
    return opened


class FirstPictures:
    """The first pictures of the training posts, opened to find out whether any can be."""

    def __init__(self) -> None:
        self._tried: list[Picture | PictureError] = []

    def observe(self, doc: Doc, images_root: Path | None) -> None:
        """See one training post that has a picture."""
        if len(self._tried) < N_TRIED:
            self._tried += open_pictures(doc, images_root)

    def settle(self) -> None:
        """Raise ValueError where none of many can be opened; the next initialization begins anew.

        What is missing is a folder rather than pictures, then.
        """
        tried, self._tried = self._tried, []
        failures = [one for one in tried if isinstance(one, PictureError)]
        if len(failures) == len(tried) >= N_TRIED:
            raise ValueError(
                f"None of the first {len(failures)} pictures of the training posts can be opened "
                f"(the first: {failures[0]}). Set images_root (with our configs "
                "--paths.images_root) to the folder that their paths are relative to, or the "
                "image modality to null."
            )

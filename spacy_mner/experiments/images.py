"""The image files of a corpus: that they are there, and what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy

from ..corpus.docbin import read_docs
from ..errors import CorpusError, ImageError
from ..images.reference import LazyImage, open_image, references

# Images of a split that are decoded before anything runs.
DECODED = 20

Found = LazyImage | ImageError


@dataclass(frozen=True)
class ImageFiles:
    """What posts show beside their text.

    hash: of the content of all images, wherever they lie, of 16 hexadecimal digits.
    missing: split → images that cannot be found, where there are such.
    """

    hash: str
    missing: dict[str, int]


def look_at_images(files: Mapping[str, Path], images_root: Path | None) -> ImageFiles:
    """Find the images of the posts in files, split name to file.

    Raises CorpusError where most images of a split cannot be opened.
    """
    digest = hashlib.sha256()
    missing: dict[str, int] = {}
    for split, file in files.items():
        found = _find(file, images_root)
        _refuse_if_most_fail(split, found, images_root)
        digest.update("\n".join([split, *map(_content, found)]).encode())
        absent = sum(isinstance(one, ImageError) for one in found)
        missing |= {split: absent} if absent else {}
    return ImageFiles(digest.hexdigest()[:16], missing)


def _find(file: Path, images_root: Path | None) -> list[Found]:
    docs = read_docs(file, spacy.blank("xx").vocab)
    return [_open(one, images_root) for doc in docs if len(doc) for one in references(doc._.image)]


def _open(reference: Any, images_root: Path | None) -> Found:
    try:
        return open_image(reference, images_root)
    except ImageError as error:
        return error


def _content(found: Found) -> str:
    try:
        return found.digest if isinstance(found, LazyImage) else ""
    except ImageError:
        return ""


def _refuse_if_most_fail(split: str, found: Sequence[Found], images_root: Path | None) -> None:
    """Of all images it is asked whether they are there, of some whether they can be decoded."""
    some = found[:: len(found) // DECODED or 1]
    decoded = [_decode(one) for one in some]
    for tried in (found, decoded):
        failures = [one for one in tried if isinstance(one, ImageError)]
        if 2 * len(failures) > len(tried):
            now = "" if images_root is None else f", which is {images_root} now"
            raise CorpusError(
                f"{len(failures)} of {len(tried)} images of {split} cannot be opened (the first: "
                f"{failures[0]}): name the folder of the images by --images-root{now}."
            )


def _decode(found: Found) -> Found:
    try:
        if isinstance(found, LazyImage):
            found.pixels()
    except ImageError as error:
        return error
    return found

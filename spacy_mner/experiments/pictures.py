"""The picture files of a corpus: that they are there, and what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy

from ..corpus.docbin import read_docs
from ..corpus.errors import CorpusError
from ..images.reference import Picture, PictureError, open_picture, references

# Pictures of a split that are decoded before anything runs.
DECODED = 20

Found = Picture | PictureError


@dataclass(frozen=True)
class PictureFiles:
    """What posts show beside their text.

    hash: of the content of all pictures, wherever they lie, of 16 hexadecimal digits.
    missing: split → pictures that cannot be found, where there are such.
    """

    hash: str
    missing: dict[str, int]


def look_at_pictures(files: Mapping[str, Path], images_root: Path | None) -> PictureFiles:
    """Find the pictures of the posts in files, split name to file.

    Raises CorpusError where most pictures of a split cannot be opened.
    """
    digest = hashlib.sha256()
    missing: dict[str, int] = {}
    for split, file in files.items():
        found = _find(file, images_root)
        _refuse_if_most_fail(split, found, images_root)
        digest.update("\n".join([split, *map(_content, found)]).encode())
        absent = sum(isinstance(one, PictureError) for one in found)
        missing |= {split: absent} if absent else {}
    return PictureFiles(digest.hexdigest()[:16], missing)


def _find(file: Path, images_root: Path | None) -> list[Found]:
    docs = read_docs(file, spacy.blank("xx").vocab)
    return [_open(one, images_root) for doc in docs if len(doc) for one in references(doc._.image)]


def _open(reference: Any, images_root: Path | None) -> Found:
    try:
        return open_picture(reference, images_root)
    except PictureError as error:
        return error


def _content(found: Found) -> str:
    try:
        return found.digest if isinstance(found, Picture) else ""
    except PictureError:
        return ""


def _refuse_if_most_fail(split: str, found: Sequence[Found], images_root: Path | None) -> None:
    """Of all pictures it is asked whether they are there, of some whether they can be decoded."""
    some = found[:: len(found) // DECODED or 1]
    decoded = [_decode(one) for one in some]
    for tried in (found, decoded):
        failures = [one for one in tried if isinstance(one, PictureError)]
        if 2 * len(failures) > len(tried):
            now = "" if images_root is None else f", which is {images_root} now"
            raise CorpusError(
                f"{len(failures)} of {len(tried)} pictures of {split} cannot be opened (the first: "
                f"{failures[0]}): name the folder of the pictures by --images-root{now}."
            )


def _decode(found: Found) -> Found:
    try:
        if isinstance(found, Picture):
            found.pixels()
    except PictureError as error:
        return error
    return found

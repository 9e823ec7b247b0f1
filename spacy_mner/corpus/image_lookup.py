"""Finding the image of a post: in a folder of files, or of descriptors; and its caption.

References come from corpus files of unknown origin: none may lead out of the folder, and none
may end up with the image of another post.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np

from ..errors import CorpusError
from ..extensions import image_as_png
from ..images.safety.paths import LEADS_OUT, as_path, leads_out
from .conll import read_lines
from .image_names import AllImagesOf, Names, NoImage, normal, stem

# The first bytes of images that every browser shows.
MEDIA_TYPES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
}


class Source(Protocol):
    """Where images are looked up."""

    def find(self, reference: str) -> Any:
        """Give what a Doc holds for this reference; raises NoImage."""

    def names_of(self, post_id: str) -> list[str]:
        """Name the images of a post that are called `<id>` or `<id>_…`, sorted."""


def expand(references: Iterable[Any], source: Source) -> list[Any]:
    """Put the names of its images where the id of a post stands for them.

    An id without images stays, so that looking it up says what is missing.
    """
    expanded: list[Any] = []
    for one in references:
        names = source.names_of(one) if isinstance(one, AllImagesOf) else []
        expanded += names or [one]
    return expanded


def inside(reference: str) -> PurePosixPath:
    """Take a reference as a path below a folder; raises NoImage where it leads elsewhere."""
    if leads_out(reference):
        raise NoImage(LEADS_OUT)
    path = as_path(reference)
    if not path.name or "\0" in reference:
        raise NoImage("not the name of a file")
    return path


class ImageFolder:
    """Image files below a folder, by name with or without extension."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise CorpusError(f"There is no folder {root}; --images-root names one with images.")
        self.root = root
        self._folders: dict[PurePosixPath, Names] = {}

    def find(self, reference: str) -> str:
        """Give the path of an image relative to the folder, with forward slashes."""
        path = self._below_root(reference)
        return str(path.parent / self._names(path.parent).find(path.name))

    def names_of(self, post_id: str) -> list[str]:
        """Name the image files of a post that are called `<id>` or `<id>_…`, sorted."""
        try:
            path = self._below_root(post_id)
        except NoImage:
            return []
        names = self._names(path.parent).of_post(path.name)
        return [str(path.parent / name) for name in names if stem(name) != name]

    def _names(self, folder: PurePosixPath) -> Names:
        if folder not in self._folders:
            self._folders[folder] = Names(self._files(folder))
        return self._folders[folder]

    def _below_root(self, reference: str) -> PurePosixPath:
        if Path(reference).is_absolute() and "\0" not in reference:
            try:
                below = Path(os.path.normpath(reference)).relative_to(os.path.abspath(self.root))
            except ValueError:
                raise NoImage(LEADS_OUT) from None
            return inside(below.as_posix())
        return inside(reference)

    def _files(self, folder: PurePosixPath) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except OSError:
            return []


class FeatureFile:
    """Descriptors of images in an `.npz` file, by id with or without extension.

    The file holds `ids` [n] and `features`, numbers [n, dim] or [n, regions, dim].
    """

    def __init__(self, path: Path) -> None:
        ids, self._features = _read_features(path)
        self._rows: dict[str, int] = {}
        for row, name in enumerate(ids):
            if self._rows.setdefault(normal(name), row) != row:
                raise CorpusError(f"{path} has the id {name} twice; an id stands for one image.")
        self._names = Names(self._rows)

    def find(self, reference: str) -> np.ndarray:
        """Give a descriptor, float32 [dim] or [regions, dim]."""
        features = self._features[self._rows[self._names.find(reference)]].astype("float32")
        if not np.isfinite(features).all():
            raise NoImage("the descriptor holds values that are not finite numbers")
        return features

    def names_of(self, post_id: str) -> list[str]:
        """Name the descriptors of a post that are called `<id>` or `<id>_…`, sorted."""
        return self._names.of_post(post_id)


def _read_features(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            # What is not in numpy's own format comes as bytes.
            ids, features = np.asarray(file["ids"]), np.asarray(file["features"])
    except Exception as error:  # zipfile, zlib, tokenize and numpy each have errors of their own
        raise CorpusError(
            f"{path} is not an .npz file with arrays `ids` and `features` ({error})."
        ) from error
    if ids.ndim != 1 or features.ndim not in (2, 3) or len(ids) != len(features):
        raise CorpusError(
            f"{path}: `ids` is {list(ids.shape)} and `features` {list(features.shape)}, "
            "but [n] and [n, dim] or [n, regions, dim] are needed."
        )
    if features.dtype.kind not in "fiu":
        raise CorpusError(f"{path}: `features` holds {features.dtype}, not numbers.")
    if not _is_text(ids):
        raise CorpusError(f"{path}: `ids` holds characters that Unicode does not have.")
    return [str(name) for name in ids.tolist()], features


def _is_text(ids: np.ndarray) -> bool:
    """Whether strings are what Python takes for strings; numpy makes some of anything."""
    if ids.dtype.kind != "U" or ids.dtype.itemsize == 0:
        return True
    codes = np.ascontiguousarray(ids, ids.dtype.newbyteorder("=")).view(np.uint32)
    return not ((codes > sys.maxunicode) | ((codes >= 0xD800) & (codes < 0xE000))).any()


class CaptionFile:
    """Captions of images, a line `id<TAB>caption` each, by id with or without extension."""

    def __init__(self, path: Path) -> None:
        self._captions: dict[str, str] = {}
        for name, caption in _read_captions(path):
            if self._captions.setdefault(name, caption) != caption:
                raise CorpusError(f"{path} has two captions for the id {name}; leave one of them.")
        self._names = Names(self._captions)

    def find(self, reference: str) -> str:
        """Give the caption of an image."""
        caption = self._captions[self._names.find(reference)]
        if not caption:
            raise NoImage("nothing is written there")
        return caption

    def names_of(self, post_id: str) -> list[str]:
        """Name the captions of a post that are called `<id>` or `<id>_…`, sorted."""
        return self._names.of_post(post_id)


def _read_captions(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        raise CorpusError(f"There is no file {path}; --captions names lines of id<TAB>caption.")
    # Old programs end a line by a carriage return alone.
    lines = (line for piece in read_lines(path) for line in piece.split("\r"))
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab or not name.strip():
            raise CorpusError(f"{path}, line {number} is not id<TAB>caption: {line[:60]!r}.")
        yield normal(name.strip()), caption.strip()


def image_to_json(image: Any) -> Any:
    """Write `doc._.image` as JSON: paths as they are, everything else as a data URI."""
    if image is None or isinstance(image, str):
        return image
    if isinstance(image, Path):
        return str(image)
    if isinstance(image, list | tuple):
        return [image_to_json(one) for one in image if one is not None]
    is_file = isinstance(image, bytes | bytearray | memoryview)
    content = bytes(image) if is_file else image_as_png(image)
    return f"data:{_media_type(content)};base64,{base64.b64encode(content).decode('ascii')}"


def _media_type(content: bytes) -> str:
    """What a browser is told of an image; empty where it has to look for itself."""
    for start, media_type in MEDIA_TYPES.items():
        if content.startswith(start):
            return media_type
    return ""

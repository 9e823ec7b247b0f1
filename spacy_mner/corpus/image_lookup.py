"""Lookup of the image, descriptor or caption that a corpus file refers to.

References are untrusted: none may lead out of the image folder (path traversal), and an ambiguous
one matches nothing, so that no post receives the image of another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import CorpusError, ImageError
from ..images.decoding import check_format
from ..images.safety.paths import OUTSIDE_FOLDER, is_path_traversal, to_path
from .conll import read_lines
from .image_names import AllImagesOf, ImageNotFound, NameIndex, normalize_name, stem

# Folders in the image folder that are searched for its missing images.
MAX_FOLDERS = 20


def expand(references: Iterable[Any], index: ImageFolder | FileIndex) -> list[Any]:
    """Replace each AllImagesOf by the names of these images.

    One without images is kept, so that its lookup reports it as not found.
    """
    expanded: list[Any] = []
    for one in references:
        names = index.names_of(one) if isinstance(one, AllImagesOf) else []
        expanded += names or [one]
    return expanded


def relative_path(reference: str) -> PurePosixPath:
    """Parse a reference as a path below a folder. Raises ImageNotFound for any other."""
    if is_path_traversal(reference):
        raise ImageNotFound(OUTSIDE_FOLDER)
    path = to_path(reference)
    if not path.name or "\0" in reference:
        raise ImageNotFound("not a file name")
    return path


class ImageFolder:
    """Image files below a folder, by path with or without extension."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise CorpusError(f"There is no folder {root}: pass --images-root a folder of images.")
        self.root = root
        self._indexes: dict[PurePosixPath, NameIndex] = {}
        self._neighbors: list[ImageFolder] | None = None

    def find(self, reference: str) -> str:
        """Return the path of an image relative to the folder, with forward slashes.

        Raises ImageNotFound, also for a file that is not an image.
        """
        path = self._below_root(reference)
        found = path.parent / self._index(path.parent).find(path.name)
        try:
            check_format(self.root / found)
        except ImageError as error:
            raise ImageNotFound(str(error)) from error
        return str(found)

    def find_in_neighbors(self, reference: str) -> tuple[Path, str] | None:
        """Return a folder with an image that does not exist in this one, and its path there.

        The folder is the working directory, the parent of this folder or one in it; None if it is
        none of them.
        """
        try:
            if (self.root / relative_path(reference)).exists():
                return None
        except (ImageNotFound, OSError):  # such as for a name that is too long
            return None
        if self._neighbors is None:
            inside = sorted(path for path in self.root.iterdir() if path.is_dir())
            roots = (Path(), self.root.parent, *inside[:MAX_FOLDERS])
            self._neighbors = [ImageFolder(root) for root in roots]
        for folder in self._neighbors:
            with suppress(ImageNotFound):
                return folder.root, folder.find(reference)
        return None

    def names_of(self, post_id: str) -> list[str]:
        """Return the paths of image files named `<id>` or `<id>_…`, sorted."""
        try:
            path = self._below_root(post_id)
        except ImageNotFound:
            return []
        names = self._index(path.parent).of_post(path.name)
        return [str(path.parent / name) for name in names if stem(name) != name]

    def _index(self, folder: PurePosixPath) -> NameIndex:
        if folder not in self._indexes:
            self._indexes[folder] = NameIndex(self._files(folder), self.root / folder)
        return self._indexes[folder]

    def _below_root(self, reference: str) -> PurePosixPath:
        if Path(reference).is_absolute() and "\0" not in reference:
            try:
                below = Path(os.path.normpath(reference)).relative_to(os.path.abspath(self.root))
            except ValueError:
                raise ImageNotFound(OUTSIDE_FOLDER) from None
            reference = below.as_posix()
        return relative_path(reference)

    def _files(self, folder: PurePosixPath) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except OSError:
            return []


class FileIndex:
    """Values of a file, by id with or without extension."""

    def __init__(self, path: Path, values: Iterable[tuple[str, Any]]) -> None:
        self._values: dict[str, Any] = {}
        for name, value in values:
            if self._values.setdefault(normalize_name(name), value) is not value:
                raise CorpusError(f"{path}: duplicate id {name}; remove one of them.")
        self._index = NameIndex(self._values, path)

    def find(self, reference: str) -> Any:
        """Return the value of an id. Raises ImageNotFound."""
        return self._values[self._index.find(reference)]

    def names_of(self, post_id: str) -> list[str]:
        """Return the ids `<id>` or `<id>_…`, sorted."""
        return self._index.of_post(post_id)


class FeatureFile(FileIndex):
    """Descriptors of images in an `.npz` file.

    The file has arrays `ids` [n] and `features`, numbers [n, dim] or [n, regions, dim].
    """

    def __init__(self, path: Path) -> None:
        ids, features = _read_features(path)
        super().__init__(path, zip(ids, features, strict=True))

    def find(self, reference: str) -> np.ndarray:
        """Return a descriptor, float32 [dim] or [regions, dim]. Raises ImageNotFound."""
        features = super().find(reference).astype("float32")
        if not np.isfinite(features).all():
            raise ImageNotFound("the descriptor has non-finite values")
        return features


def _read_features(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            # Members that are not in numpy's format are returned as bytes.
            ids, features = np.asarray(file["ids"]), np.asarray(file["features"])
    except Exception as error:  # zipfile, zlib, tokenize and numpy each have errors of their own
        raise CorpusError(
            f"{path} is not an .npz file with arrays `ids` and `features` ({error}). Write it with "
            "numpy.savez(path, ids=…, features=…)."
        ) from error
    if ids.ndim != 1 or features.ndim not in (2, 3) or len(ids) != len(features):
        raise CorpusError(
            f"{path}: `ids` has shape {list(ids.shape)} and `features` {list(features.shape)}; "
            "expected [n] and [n, dim] or [n, regions, dim]."
        )
    if features.dtype.kind not in "fiu":
        raise CorpusError(f"{path}: `features` has dtype {features.dtype}; expected numbers.")
    if not _is_unicode(ids):
        raise CorpusError(
            f"{path}: `ids` has invalid Unicode code points; save the ids as strings."
        )
    return [str(name) for name in ids.tolist()], features


def _is_unicode(ids: np.ndarray) -> bool:
    """Whether all code points are valid: numpy loads any 32 bits as a character."""
    if ids.dtype.kind != "U" or ids.dtype.itemsize == 0:
        return True
    codes = np.ascontiguousarray(ids, ids.dtype.newbyteorder("=")).view(np.uint32)
    return not ((codes > sys.maxunicode) | ((codes >= 0xD800) & (codes < 0xE000))).any()


class CaptionFile(FileIndex):
    """Captions of images in lines `id<TAB>caption`; repeated lines are accepted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, dict.fromkeys(_read_captions(path)))

    def find(self, reference: str) -> str:
        """Return a caption. Raises ImageNotFound."""
        caption = super().find(reference)
        if not caption:
            raise ImageNotFound("empty caption")
        return caption


def _read_captions(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        raise CorpusError(f"There is no file {path}: --captions is a file of lines id<TAB>caption.")
    # Classic Mac OS ended lines with a carriage return alone.
    lines = (line for piece in read_lines(path) for line in piece.split("\r"))
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab or not name.strip():
            raise CorpusError(f"{path}, line {number}: expected id<TAB>caption, got {line[:60]!r}.")
        yield normalize_name(name.strip()), caption.strip()

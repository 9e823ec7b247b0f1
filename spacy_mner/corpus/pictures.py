"""Finding the picture of a post: in a folder of files, or of descriptors; and its caption.

References come from corpus files of unknown origin: none may lead out of the folder, and none
may end up with the picture of another post.
"""

from __future__ import annotations

import base64
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np

from ..extensions import picture_as_png
from .conll import read_lines
from .errors import CorpusError

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff")

LEADS_OUT = "leads out of the picture folder"


class NoPicture(ValueError):
    """Why a reference leads to no picture, in words for the user."""


class Source(Protocol):
    """Where pictures are looked up."""

    def find(self, reference: str) -> Any:
        """Give what a Doc holds for this reference; raises NoPicture."""


def stem(name: str) -> str:
    """A name without a picture's extension; other dots belong to the name."""
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name


def climbs(reference: str) -> bool:
    """Whether a path leads upwards, and so perhaps out of the folder it is looked up in."""
    return ".." in PurePosixPath(reference.replace("\\", "/")).parts


def inside(reference: str) -> PurePosixPath:
    """Take a reference as a path below a folder; raises NoPicture where it leads elsewhere."""
    path = PurePosixPath(reference.replace("\\", "/"))
    if path.is_absolute() or re.match("[A-Za-z]:", reference) or climbs(reference):
        raise NoPicture(LEADS_OUT)
    if not path.name or "\0" in reference:
        raise NoPicture("not the name of a file")
    return path


class _Names:
    """Looks a name up as it is, else without its extension. No guessing between two."""

    def __init__(self, names: Iterable[str]) -> None:
        self.exact: dict[str, str] = {}
        self.by_stem: dict[str, list[str]] = {}
        for name in names:
            key = _normal(name)
            self.exact[key] = name
            self.by_stem.setdefault(stem(key), []).append(name)

    def find(self, name: str) -> str:
        key = _normal(name)
        if key in self.exact:
            return self.exact[key]
        candidates = self.by_stem.get(stem(key), [])
        if not candidates:
            raise NoPicture("not there")
        if len(candidates) > 1:
            raise NoPicture(f"could be any of {', '.join(sorted(candidates))}")
        return candidates[0]


def _normal(name: str) -> str:
    # File systems and archives disagree on how to compose accents and Korean syllables.
    return unicodedata.normalize("NFC", name)


class PictureFolder:
    """Picture files below a folder, by name with or without extension."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise CorpusError(f"There is no folder {root}; --images-root names one with pictures.")
        self.root = root
        self._folders: dict[PurePosixPath, _Names] = {}

    def find(self, reference: str) -> str:
        """Give the path of a picture relative to the folder, with forward slashes."""
        path = self._below_root(reference)
        if path.parent not in self._folders:
            self._folders[path.parent] = _Names(self._files(path.parent))
        return str(path.parent / self._folders[path.parent].find(path.name))

    def _below_root(self, reference: str) -> PurePosixPath:
        if Path(reference).is_absolute() and "\0" not in reference:
            try:
                below = Path(os.path.normpath(reference)).relative_to(os.path.abspath(self.root))
            except ValueError:
                raise NoPicture(LEADS_OUT) from None
            return inside(below.as_posix())
        return inside(reference)

    def _files(self, folder: PurePosixPath) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except OSError:
            return []


class FeatureFile:
    """Descriptors of pictures in an `.npz` file, by id with or without extension.

    The file holds `ids` [n] and `features`, numbers [n, dim] or [n, regions, dim].
    """

    def __init__(self, path: Path) -> None:
        ids, self._features = _read_features(path)
        self._rows: dict[str, int] = {}
        for row, name in enumerate(ids):
            if self._rows.setdefault(_normal(name), row) != row:
                raise CorpusError(f"{path} has the id {name} twice; an id stands for one picture.")
        self._names = _Names(self._rows)

    def find(self, reference: str) -> np.ndarray:
        """Give a descriptor, float32 [dim] or [regions, dim]."""
        features = self._features[self._rows[self._names.find(reference)]].astype("float32")
        if not np.isfinite(features).all():
            raise NoPicture("the descriptor holds values that are not finite numbers")
        return features


def _read_features(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            ids, features = file["ids"], file["features"]
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
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
    return [str(name) for name in ids.tolist()], features


class CaptionFile:
    """Captions of pictures, a line `id<TAB>caption` each, by id with or without extension."""

    def __init__(self, path: Path) -> None:
        self._captions: dict[str, str] = {}
        for name, caption in _read_captions(path):
            if self._captions.setdefault(name, caption) != caption:
                raise CorpusError(f"{path} has two captions for the id {name}; leave one of them.")
        self._names = _Names(self._captions)

    def find(self, reference: str) -> str:
        """Give the caption of a picture."""
        caption = self._captions[self._names.find(reference)]
        if not caption:
            raise NoPicture("nothing is written there")
        return caption


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
        yield _normal(name.strip()), caption.strip()


def picture_to_json(image: Any) -> Any:
    """Write `doc._.image` as JSON: paths as they are, everything else as a data URI."""
    if image is None or isinstance(image, str):
        return image
    if isinstance(image, Path):
        return str(image)
    if isinstance(image, list | tuple):
        return [picture_to_json(one) for one in image]
    is_file = isinstance(image, bytes | bytearray | memoryview)
    content = bytes(image) if is_file else picture_as_png(image)
    return f"data:;base64,{base64.b64encode(content).decode('ascii')}"

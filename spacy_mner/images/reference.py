"""From what stands in `doc._.image` to a picture with a content hash and pixels."""

from __future__ import annotations

import hashlib
import os
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .decode import PictureError, decode, decode_array, decode_image

__all__ = ["Picture", "PictureError", "open_picture", "references", "short_name"]

# Far above any photograph: keeps a video under a picture's name from filling the memory.
MAX_BYTES = 1 << 30


class Picture(ABC):
    """One picture: who it is (`digest`, cheap) and what it shows (`pixels`, decoded on each call).

    The same content has the same digest, whatever its name or place. Both raise PictureError
    where the content cannot be read.
    """

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""

    @abstractmethod
    def pixels(self) -> np.ndarray:
        """RGB as a person would see it: uint8 [h, w, 3]."""


@dataclass(frozen=True)
class FilePicture(Picture):
    path: Path
    modified_ns: int
    size: int

    @property
    def digest(self) -> str:
        return _file_digest(self.path, self.modified_ns, self.size)

    def pixels(self) -> np.ndarray:
        content = _read(self.path)
        if _sha256(content) != self.digest:
            _file_digest.cache_clear()
            raise PictureError(f"changed while it was read: {short_name(self.path)}")
        return decode(content)


@dataclass(frozen=True)
class BytesPicture(Picture):
    content: bytes

    @property
    def digest(self) -> str:
        return _sha256(self.content)

    def pixels(self) -> np.ndarray:
        return decode(self.content)


@dataclass(frozen=True, eq=False)
class PixelPicture(Picture):
    rgb: np.ndarray

    @property
    def digest(self) -> str:
        return _sha256(f"pixels {self.rgb.shape}:".encode() + self.rgb.tobytes())

    def pixels(self) -> np.ndarray:
        return self.rgb


def open_picture(reference: Any, images_root: Path | None) -> Picture:
    """Find the picture that a reference means.

    reference: a str or Path (a relative one is looked up in `images_root`, else in the working
        directory), the bytes of a picture file, a PIL image, or a uint8 array [h, w], [h, w, 3]
        or [h, w, 4].

    Raises PictureError where there is no such file, and for an image or array that is no picture;
    what is wrong inside a file or bytes shows when the pixels are asked for.
    """
    if isinstance(reference, str) and reference.lower().startswith(("http://", "https://")):
        raise PictureError("a URL: download the picture and give its path or bytes")
    if isinstance(reference, (str, Path)):
        return _open_file(Path(reference), images_root)
    if isinstance(reference, (bytes, bytearray, memoryview)):
        return BytesPicture(bytes(reference))
    if isinstance(reference, Image.Image):
        return PixelPicture(decode_image(reference))
    if isinstance(reference, np.ndarray):
        return PixelPicture(decode_array(reference))
    raise PictureError(
        f"not a picture: {type(reference).__name__}, "
        "expected a path, bytes, a PIL image or a uint8 array [height, width, 3]"
    )


def references(value: Any) -> list[Any]:
    """List the references in `doc._.image`: none, one, or those of a list or tuple."""
    if isinstance(value, (list, tuple)):
        return [item for item in value if item is not None]
    return [] if value is None else [value]


def _open_file(path: Path, images_root: Path | None) -> Picture:
    # An absolute path stays what it is when it is joined to a root.
    full = (images_root or Path()) / path
    try:
        status = os.stat(full)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PictureError(f"no such file: {short_name(path)}") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"no such file: {short_name(path)} ({_reason(error)})") from error
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(f"not a file: {short_name(path)}")
    if status.st_size > MAX_BYTES:
        raise PictureError(f"too large: {status.st_size:,} bytes, limit {MAX_BYTES:,}")
    return FilePicture(full.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1 << 17)
def _file_digest(path: Path, modified_ns: int, size: int) -> str:
    return _sha256(_read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read: {short_name(path)} ({_reason(error)})") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def short_name(path: Path) -> str:
    """A path as messages name it: printable, and its end only where it is long."""
    # A file name may hold control characters; a status goes to terminals and line-wise files.
    name = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))
    return name if len(name) <= 80 else f"…{name[-79:]}"

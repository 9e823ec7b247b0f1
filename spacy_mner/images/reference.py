"""From what stands in `doc._.image` to an image with a content hash and pixels."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ImageError
from ..utils.text import printable
from .decoding import decode, decode_array, decode_image
from .safety.limits import TRUSTED, Limits

__all__ = ["ImageError", "LazyImage", "open_image", "references", "short_name"]

# A digest takes about 1 KB. Enough for the images of a published corpus, which each epoch asks
# for again; bulk input has images without end, and seldom one again after so many others.
REMEMBERED_DIGESTS = 1 << 14

# Opening what has become a FIFO must not wait for a writer. Windows has no FIFOs.
NO_WAITING = getattr(os, "O_NONBLOCK", 0)


class LazyImage(ABC):
    """One image: who it is (`digest`, cheap) and what it shows (`pixels`, decoded on each call).

    The same content has the same digest, whatever its name or place. Both raise ImageError
    where the content cannot be read.
    """

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""

    @abstractmethod
    def pixels(self) -> np.ndarray:
        """RGB as a person would see it: uint8 [h, w, 3]."""


# One image may stand in the posts of several threads, and Pillow loads it in place.
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Version:
    """Which file a path led to, and in which state: as long as it is the same, so is the content.

    device, inode: the file itself. modified_ns, size: of its content, in nanoseconds and bytes.
    """

    device: int
    inode: int
    modified_ns: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> Version:
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


@dataclass(frozen=True)
class FileImage(LazyImage):
    """A file that was looked at when the reference was opened, and is read when it is needed.

    What is read is that very file: raises ImageError where the path leads to another by then.
    """

    path: Path
    version: Version
    limits: Limits = TRUSTED

    @property
    def digest(self) -> str:
        return _file_digest(self.path, self.version)

    def pixels(self) -> np.ndarray:
        content = _read(self.path, self.version)
        if _sha256(content) != self.digest:
            _file_digest.cache_clear()
            raise _changed(self.path)
        return decode(content, self.limits)


@dataclass(frozen=True)
class BytesImage(LazyImage):
    content: bytes
    limits: Limits = TRUSTED

    @property
    def digest(self) -> str:
        return _sha256(self.content)

    def pixels(self) -> np.ndarray:
        return decode(self.content, self.limits)


@dataclass(frozen=True, eq=False)
class PixelImage(LazyImage):
    rgb: np.ndarray

    @property
    def digest(self) -> str:
        return _sha256(f"pixels {self.rgb.shape}:".encode() + self.rgb.tobytes())

    def pixels(self) -> np.ndarray:
        return self.rgb


def open_image(reference: Any, images_root: Path | None) -> LazyImage:
    """Find the image that a reference means.

    reference: a str or Path (a relative one is looked up in `images_root`, else in the working
        directory), the bytes of an image file, a PIL image, or a uint8 array [h, w], [h, w, 3]
        or [h, w, 4]; or what a source of images gave for a reference: an image, or the
        ImageError that says why there is none.

    Raises ImageError where there is no such file, and for an image or array that is no image;
    what is wrong inside a file or bytes shows when the pixels are asked for.
    """
    if isinstance(reference, LazyImage):
        return reference
    if isinstance(reference, ImageError):
        raise ImageError(str(reference))
    if isinstance(reference, str) and reference.lower().startswith(("http://", "https://")):
        raise ImageError("a URL: download the image and give its path or bytes")
    if isinstance(reference, (str, Path)):
        return _open_file(Path(reference), images_root)
    if isinstance(reference, (bytes, bytearray, memoryview)):
        return BytesImage(bytes(reference))
    if isinstance(reference, Image.Image):
        with _LOADING:
            return PixelImage(decode_image(reference))
    if isinstance(reference, np.ndarray):
        return PixelImage(decode_array(reference))
    raise ImageError(
        f"not an image: {type(reference).__name__}, "
        "expected a path, bytes, a PIL image or a uint8 array [height, width, 3]"
    )


def references(value: Any) -> list[Any]:
    """List the references in `doc._.image`: none, one, or those of a list or tuple."""
    if isinstance(value, (list, tuple)):
        return [item for item in value if item is not None]
    return [] if value is None else [value]


def _open_file(path: Path, images_root: Path | None) -> LazyImage:
    # An absolute path stays what it is when it is joined to a root.
    full = (images_root or Path()) / path
    return FileImage(full.absolute(), look_at(full, path, TRUSTED))


def look_at(full: Path, named: Path, limits: Limits) -> Version:
    """Find the file at `full`, without opening it; messages name it as `named`.

    Raises ImageError where there is none, or one that is no regular file or is too large.
    """
    try:
        status = os.stat(full)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"no such file: {short_name(named)}") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"no such file: {short_name(named)} ({_reason(error)})") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"not a file: {short_name(named)}")
    limits.check_bytes(status.st_size)
    return Version.of(status)


@lru_cache(maxsize=REMEMBERED_DIGESTS)
def _file_digest(path: Path, version: Version) -> str:
    return _sha256(_read(path, version))


def _read(path: Path, version: Version) -> bytes:
    """Read the file that was looked at, and never more of it than it held then."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | NO_WAITING)) as file:
            if Version.of(os.fstat(file.fileno())) != version:
                raise _changed(path)
            content = file.read(version.size + 1)
    except OSError as error:
        raise ImageError(f"cannot be read: {short_name(path)} ({_reason(error)})") from error
    if len(content) != version.size:
        raise _changed(path)
    return content


def _changed(path: Path) -> ImageError:
    return ImageError(f"changed while it was read: {short_name(path)}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def short_name(path: Path) -> str:
    """A path as messages name it: printable, and its end only where it is long."""
    # A file name may hold control characters; a status goes to terminals and line-wise files.
    name = printable(str(path))
    return name if len(name) <= 80 else f"…{name[-79:]}"

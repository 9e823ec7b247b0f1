"""Opening the references in `doc._.image`: images with a content hash and pixels."""

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

from ..errors import ImageError
from ..utils.fork_safe_lock import ForkSafeLock
from ..utils.text import printable
from .data_uris import decode_data_uri, is_data_uri
from .decoding import decode, decode_array, decode_image
from .safety.limits import TRUSTED, Limits

__all__ = ["ImageError", "LazyImage", "open_image", "references", "short_name"]

# An entry takes about 1 KB. Enough for the images of a published corpus, which every epoch requests
# again; bulk input rarely requests an image again after so many others.
CACHED_DIGESTS = 1 << 14

# Opening a file that was replaced by a FIFO must not block. Windows has no FIFOs.
NONBLOCKING = getattr(os, "O_NONBLOCK", 0)


class LazyImage(ABC):
    """An image that is read when `digest` or `pixels` is used.

    Both raise ImageError if the content cannot be read.

    limits: upper limits on the file, checked when it is decoded.
    """

    limits: Limits = TRUSTED

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal; independent of the file's name and location."""

    @abstractmethod
    def pixels(self) -> np.ndarray:
        """Decode the image, at each call: RGB, upright, uint8 [h, w, 3]."""


# Posts of several threads may share a PIL image, which Pillow loads in place.
_LOADING = ForkSafeLock()


@dataclass(frozen=True)
class Version:
    """Identifies a file and its state: equal versions have equal content.

    device, inode: of the file. modified_ns, size: modification time and size in bytes.
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
    """An image file, examined when the reference was opened and read later.

    Raises ImageError if the path points to another file or version by then (a TOCTOU attack).
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
    """Return the image of a trusted reference.

    reference: a str or Path (relative to `images_root`, or to the working directory), the bytes
        of an image file or a data URI of them, a PIL image, or a uint8 array [h, w], [h, w, 3] or
        [h, w, 4]; also an image that was opened before, or the ImageError why it could not be.

    Raises ImageError if there is no such file, and for an invalid PIL image or array; the
    content of files and bytes is validated when it is decoded.
    """
    if isinstance(reference, LazyImage):
        return reference
    if isinstance(reference, ImageError):
        raise ImageError(str(reference))
    if isinstance(reference, str) and reference.lower().startswith(("http://", "https://")):
        raise ImageError("a URL: download the image and give its path or bytes")
    if isinstance(reference, (str, Path)):
        if reference == "":
            raise ImageError("an empty path")
        if isinstance(reference, str) and is_data_uri(reference):
            return BytesImage(decode_data_uri(reference))
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
    """Return the references in `doc._.image`: none, one, or those of a list or tuple."""
    if isinstance(value, (list, tuple)):
        return [item for item in value if item is not None]
    return [] if value is None else [value]


def open_images(value: Any, images_root: Path | None) -> list[LazyImage | ImageError]:
    """Return each image of `doc._.image`, or why it cannot be used; see `open_image`."""
    opened: list[LazyImage | ImageError] = []
    for reference in references(value):
        try:
            opened.append(open_image(reference, images_root))
        except ImageError as error:
            opened.append(error)
    return opened


def _open_file(path: Path, images_root: Path | None) -> LazyImage:
    full = (images_root or Path()) / path  # an absolute path replaces the root
    return FileImage(full.absolute(), file_version(full, path, TRUSTED))


def file_version(full: Path, named: Path, limits: Limits) -> Version:
    """Return the version of the file at `full`, without opening it; messages name it `named`.

    Raises ImageError if it does not exist, is not a regular file, or is too large.
    """
    try:
        status = os.stat(full)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"no such file: {short_name(named)}") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"no such file: {short_name(named)} ({_cause(error)})") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"not a file: {short_name(named)}")
    limits.check_bytes(status.st_size)
    return Version.of(status)


@lru_cache(maxsize=CACHED_DIGESTS)
def _file_digest(path: Path, version: Version) -> str:
    return _sha256(_read(path, version))


def _read(path: Path, version: Version) -> bytes:
    """Read a file of a known version, at most as many bytes as it had then."""
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            if Version.of(os.fstat(file.fileno())) != version:
                raise _changed(path)
            content = file.read(version.size + 1)
    except OSError as error:
        raise ImageError(f"cannot be read: {short_name(path)} ({_cause(error)})") from error
    if len(content) != version.size:
        raise _changed(path)
    return content


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | NONBLOCKING)


def _changed(path: Path) -> ImageError:
    return ImageError(f"changed while it was read: {short_name(path)}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _cause(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def short_name(path: Path) -> str:
    """Return a path for messages: printable characters, truncated at the front to 80."""
    # File names may contain control characters, and messages reach terminals and log files.
    name = printable(str(path))
    return name if len(name) <= 80 else f"…{name[-79:]}"

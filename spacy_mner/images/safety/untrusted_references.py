"""Opening images of untrusted input: bytes, files below one folder, and URLs if allowed.

Every reference is treated as an attack: path traversal, also by symlinks that change between
check and use (TOCTOU), and server-side request forgery (SSRF, see `web_images`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ImageError
from ...utils.text import printable
from ..data_uris import decode_data_uri, is_data_uri
from ..reference import BytesImage, FileImage, LazyImage, file_version, short_name
from .limits import UNTRUSTED, Limits
from .paths import OUTSIDE_FOLDER, is_path_traversal, to_path

if TYPE_CHECKING:
    from .web_images import WebImages

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
WEB = re.compile(r"https?://", re.IGNORECASE)
# The keys of an image in a data set of Hugging Face.
EMBEDDED = {"bytes", "path"}


@dataclass(frozen=True)
class FolderImages:
    """Opens image files below a folder, and nothing else.

    root: the folder. A symlink below it may point to another place below it.
    limits: upper limits on the files.
    """

    root: Path
    limits: Limits = UNTRUSTED

    def open(self, reference: str) -> LazyImage:
        """Return the image file at a path relative to the folder.

        Raises ImageError for path traversal, and for a file that is missing or over the limits.
        """
        named = Path(_path_below(reference))
        full = self.root / named
        version = file_version(full, named, self.limits)
        # The path is resolved and examined again: a symlink that was swapped in between the two
        # checks (TOCTOU) would point to another file.
        real = Path(os.path.realpath(full))
        if not real.is_relative_to(os.path.realpath(self.root)):
            raise ImageError(f"{OUTSIDE_FOLDER}: {short_name(named)}")
        if file_version(real, named, self.limits) != version:
            raise ImageError(f"changed while it was read: {short_name(named)}")
        return FileImage(real, version, self.limits)


@dataclass(frozen=True)
class BulkImages:
    """Opens the references of bulk input.

    images_root: the folder that paths are relative to; None rejects paths.
    web: fetches URLs; None rejects URLs.
    limits: upper limits on files and bytes; `web` has its own.
    """

    images_root: Path | None
    web: WebImages | None
    limits: Limits = UNTRUSTED

    def open(self, reference: Any) -> LazyImage:
        """Return the image of a reference.

        reference: a path, a URL, the bytes of an image file or their data URI; or `{"bytes": ...,
            "path": ...}`, whose path is opened if there are no bytes.

        Raises ImageError with the reason if it is rejected.
        """
        if isinstance(reference, dict):
            reference = _embedded(reference)
        if isinstance(reference, bytes):
            return self._of_bytes(reference)
        if not isinstance(reference, str):
            raise ImageError(f"not a path, URL or bytes: {type(reference).__name__}")
        if is_data_uri(reference):
            return self._of_bytes(decode_data_uri(reference, self.limits))
        if WEB.match(reference):
            if self.web is None:
                raise ImageError("a URL: fetched only with --allow-urls")
            return self.web.open(reference)
        if self.images_root is None:
            raise ImageError("a path: opened only with --images-root")
        return FolderImages(self.images_root, self.limits).open(reference)

    def _of_bytes(self, content: bytes) -> BytesImage:
        self.limits.check_bytes(len(content))
        return BytesImage(content, self.limits)


def _embedded(image: dict[str, Any]) -> bytes | str:
    """Return the bytes of an image, their data URI, or a path if there are no bytes."""
    if not image.keys() <= EMBEDDED:
        keys = printable(", ".join(map(repr, image)))[:80]
        raise ImageError(f"not an image: an object with {keys}, expected 'bytes' and 'path'")
    content, path = image.get("bytes"), image.get("path")
    if isinstance(content, str) and not is_data_uri(content):
        raise ImageError("bytes as text that is not a data URI (data:;base64,...)")
    reference = path if content is None else content
    if not isinstance(reference, bytes | str):
        raise ImageError("an image with neither bytes nor a path")
    return reference


def _path_below(reference: str) -> str:
    if URL.match(reference) or is_data_uri(reference):
        raise ImageError("a URL: expected a path below the image folder")
    shown = short_name(Path(reference))
    if "\0" in reference or not to_path(reference).name:
        raise ImageError(f"not a file name: {shown!r}")
    if is_path_traversal(reference):
        raise ImageError(f"{OUTSIDE_FOLDER}: {shown}")
    return str(to_path(reference))

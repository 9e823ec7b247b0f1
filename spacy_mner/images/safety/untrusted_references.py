"""Opening image references of untrusted input: files below one folder, and URLs if allowed.

Every reference is treated as an attack: path traversal, also by symlinks that change between
check and use (TOCTOU), and server-side request forgery (SSRF, see `web_images`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ImageError
from ..reference import FileImage, LazyImage, file_version, short_name
from .limits import UNTRUSTED, Limits
from .paths import OUTSIDE_FOLDER, is_path_traversal, to_path

if TYPE_CHECKING:
    from .web_images import WebImages

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
WEB = re.compile(r"https?://", re.IGNORECASE)
DATA = re.compile("data:", re.IGNORECASE)


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
    """

    images_root: Path | None
    web: WebImages | None

    def open(self, reference: str) -> LazyImage:
        """Return the image of a reference. Raises ImageError with the reason if it is rejected."""
        if isinstance(reference, str) and WEB.match(reference):
            if self.web is None:
                raise ImageError("a URL: fetched only with --allow-urls")
            return self.web.open(reference)
        if self.images_root is None:
            raise ImageError("a path: opened only with --images-root")
        return FolderImages(self.images_root).open(reference)


def _path_below(reference: str) -> str:
    if not isinstance(reference, str):
        raise ImageError(f"not a path: {type(reference).__name__}")
    if URL.match(reference) or DATA.match(reference):
        raise ImageError("a URL: expected a path below the image folder")
    shown = short_name(Path(reference))
    if "\0" in reference or not to_path(reference).name:
        raise ImageError(f"not a file name: {shown!r}")
    if is_path_traversal(reference):
        raise ImageError(f"{OUTSIDE_FOLDER}: {shown}")
    return str(to_path(reference))

"""Where the references of bulk input may lead: below one folder, and to the web where allowed.

Posts come from anyone, so each reference is taken as an attack: on files that are no business of
the posts, or on machines that only this one reaches.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ImageError
from ..reference import FileImage, LazyImage, look_at, short_name
from .limits import UNTRUSTED, Limits
from .paths import LEADS_OUT, as_path, leads_out

if TYPE_CHECKING:
    from .web_images import WebImages

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
WEB = re.compile(r"https?://", re.IGNORECASE)
DATA = re.compile("data:", re.IGNORECASE)


@dataclass(frozen=True)
class FolderImages:
    """Image files below a folder, and nothing else.

    root: the folder. A symlink below it may lead to another place below it.
    limits: what an image may be.
    """

    root: Path
    limits: Limits = UNTRUSTED

    def open(self, reference: str) -> LazyImage:
        """Find the file that a reference names by its path below the folder.

        Raises ImageError where it names anything else, or a file that may be no image.
        """
        named = Path(_path_below(reference))
        full = self.root / named
        version = look_at(full, named, self.limits)
        # The way there is followed once more, and what is at its end must still be the same file:
        # nobody can put a symlink into the way after it was judged.
        real = Path(os.path.realpath(full))
        if not real.is_relative_to(os.path.realpath(self.root)):
            raise ImageError(f"{LEADS_OUT}: {short_name(named)}")
        if look_at(real, named, self.limits) != version:
            raise ImageError(f"changed while it was read: {short_name(named)}")
        return FileImage(real, version, self.limits)


@dataclass(frozen=True)
class BulkImages:
    """All that references of bulk input may lead to.

    images_root: the folder that paths are looked up in; None refuses them.
    web: fetches URLs; None refuses them.
    """

    images_root: Path | None
    web: WebImages | None

    def open(self, reference: str) -> LazyImage:
        """Find or fetch the image of a reference; raises ImageError with the reason."""
        if isinstance(reference, str) and WEB.match(reference):
            if self.web is None:
                raise ImageError("a URL: --allow-urls fetches such images")
            return self.web.open(reference)
        if self.images_root is None:
            raise ImageError("no --images-root is given")
        return FolderImages(self.images_root).open(reference)


def _path_below(reference: str) -> str:
    if not isinstance(reference, str):
        raise ImageError(f"not a path: {type(reference).__name__}")
    if URL.match(reference) or DATA.match(reference):
        raise ImageError("a URL, not a path below the image folder")
    shown = short_name(Path(reference))
    if "\0" in reference or not as_path(reference).name:
        raise ImageError(f"not the name of a file: {shown!r}")
    if leads_out(reference):
        raise ImageError(f"{LEADS_OUT}: {shown}")
    return str(as_path(reference))

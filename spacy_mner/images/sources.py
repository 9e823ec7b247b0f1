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

from .limits import UNTRUSTED, Limits, PictureError
from .paths import LEADS_OUT, as_path, leads_out
from .reference import FilePicture, Picture, look_at, short_name

if TYPE_CHECKING:
    from .web import WebPictures

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
WEB = re.compile(r"https?://", re.IGNORECASE)
DATA = re.compile("data:", re.IGNORECASE)


@dataclass(frozen=True)
class FolderPictures:
    """Picture files below a folder, and nothing else.

    root: the folder. A symlink below it may lead to another place below it.
    limits: what a picture may be.
    """

    root: Path
    limits: Limits = UNTRUSTED

    def open(self, reference: str) -> Picture:
        """Find the file that a reference names by its path below the folder.

        Raises PictureError where it names anything else, or a file that may be no picture.
        """
        named = Path(_path_below(reference))
        full = self.root / named
        version = look_at(full, named, self.limits)
        # The way there is followed once more, and what is at its end must still be the same file:
        # nobody can put a symlink into the way after it was judged.
        real = Path(os.path.realpath(full))
        if not real.is_relative_to(os.path.realpath(self.root)):
            raise PictureError(f"{LEADS_OUT}: {short_name(named)}")
        if look_at(real, named, self.limits) != version:
            raise PictureError(f"changed while it was read: {short_name(named)}")
        return FilePicture(real, version, self.limits)


@dataclass(frozen=True)
class BulkPictures:
    """All that references of bulk input may lead to.

    images_root: the folder that paths are looked up in; None refuses them.
    web: fetches URLs; None refuses them.
    """

    images_root: Path | None
    web: WebPictures | None

    def open(self, reference: str) -> Picture:
        """Find or fetch the picture of a reference; raises PictureError with the reason."""
        if isinstance(reference, str) and WEB.match(reference):
            if self.web is None:
                raise PictureError("a URL: --allow-urls fetches such pictures")
            return self.web.open(reference)
        if self.images_root is None:
            raise PictureError("no --images-root is given")
        return FolderPictures(self.images_root).open(reference)


def _path_below(reference: str) -> str:
    if not isinstance(reference, str):
        raise PictureError(f"not a path: {type(reference).__name__}")
    if URL.match(reference) or DATA.match(reference):
        raise PictureError("a URL, not a path below the picture folder")
    shown = short_name(Path(reference))
    if "\0" in reference or not as_path(reference).name:
        raise PictureError(f"not the name of a file: {shown!r}")
    if leads_out(reference):
        raise PictureError(f"{LEADS_OUT}: {shown}")
    return str(as_path(reference))

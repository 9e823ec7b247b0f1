"""Detection of path traversal in untrusted references, from the string alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

LEADS_OUT = "outside the image folder"


def climbs(reference: str) -> bool:
    """Return whether a path contains "..", and may point outside the folder it is relative to."""
    return ".." in as_path(reference).parts


def leads_out(reference: str) -> bool:
    """Return whether a path is absolute, has a drive, or contains ".." (path traversal)."""
    drive = re.match("[A-Za-z]:", reference)
    return bool(drive) or as_path(reference).is_absolute() or climbs(reference)


def as_path(reference: str) -> PurePosixPath:
    """Convert a reference to a path. Corpora from Windows have backslashes between folders."""
    return PurePosixPath(reference.replace("\\", "/"))

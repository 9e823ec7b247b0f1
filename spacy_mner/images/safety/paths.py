"""Detection of path traversal in untrusted references, from the string alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

OUTSIDE_FOLDER = "outside the image folder"


def has_parent_reference(reference: str) -> bool:
    """Return whether a path contains "..", and may point outside the folder it is relative to."""
    return ".." in to_path(reference).parts


def is_path_traversal(reference: str) -> bool:
    """Return whether a path is absolute, has a drive, or contains ".." (path traversal)."""
    drive = re.match("[A-Za-z]:", reference)
    return bool(drive) or to_path(reference).is_absolute() or has_parent_reference(reference)


def to_path(reference: str) -> PurePosixPath:
    """Convert a reference to a path. Corpora from Windows have backslashes between folders."""
    return PurePosixPath(reference.replace("\\", "/"))

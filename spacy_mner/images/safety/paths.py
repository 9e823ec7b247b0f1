"""What the path in a reference of unknown origin leads to, told from the words alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

LEADS_OUT = "leads out of the image folder"


def climbs(reference: str) -> bool:
    """Whether a path leads upwards, and so perhaps out of the folder it is looked up in."""
    return ".." in as_path(reference).parts


def leads_out(reference: str) -> bool:
    """Whether a path leads anywhere but below a folder: up, from the top, or to a drive."""
    drive = re.match("[A-Za-z]:", reference)
    return bool(drive) or as_path(reference).is_absolute() or climbs(reference)


def as_path(reference: str) -> PurePosixPath:
    """Take a reference as a path. Corpora made on Windows have backslashes between folders."""
    return PurePosixPath(reference.replace("\\", "/"))

"""What a page that is made to be shared may say of a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def shown(path: Any) -> str:
    """A path as a page may name it: as it was typed, or its last part if it is of one machine."""
    text = Path(path).as_posix()
    return Path(path).name if text.startswith(("/", "..", "~")) or Path(path).drive else text

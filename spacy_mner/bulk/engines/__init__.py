"""How chunks become parts: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

from .base import Engine, Part, Work
from .inline import inline
from .processes import processes

__all__ = ["Engine", "Part", "Work", "inline", "processes"]

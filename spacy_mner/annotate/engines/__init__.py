"""How chunks become parts: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

from .inline import inline
from .processes import processes
from .worker import Engine, Part, Work

__all__ = ["Engine", "Part", "Work", "inline", "processes"]

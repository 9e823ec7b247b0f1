"""Engines turn chunks into parts: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

from .inline import inline
from .processes import processes
from .worker import Engine, Job, Part

__all__ = ["Engine", "Job", "Part", "inline", "processes"]

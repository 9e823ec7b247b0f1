"""Engines turn chunks into parts: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

from .local import inline, processes
from .worker import Engine, Job, Part

__all__ = ["Engine", "Job", "Part", "inline", "processes"]

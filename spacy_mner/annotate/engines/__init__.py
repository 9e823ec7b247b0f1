"""Engines annotate chunks: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

from .local import inline, processes
from .worker import AnnotatedChunk, Engine, Job

__all__ = ["AnnotatedChunk", "Engine", "Job", "inline", "processes"]

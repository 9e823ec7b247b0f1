"""Warnings that name the line of the user's code."""

from __future__ import annotations

import sys
import warnings

# Packages whose frames lie between a user's line and a warning; the last two are those of commands.
LIBRARIES = frozenset({"spacy_mner", "spacy", "thinc", "typer", "click"})


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning of the line outside of these packages that led to it.

    In a thread of this package, which no line called, it is the first frame of the thread.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package(frame.f_globals) in LIBRARIES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package(names: dict) -> str:
    return str(names.get("__name__", "")).partition(".")[0]

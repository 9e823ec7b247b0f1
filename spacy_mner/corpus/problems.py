"""What could not be read as it stands in a corpus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something in the input that could not be taken as it stands.

    line: number of the line in the input, from 1 (for a .spacy file the number of the Doc, for
        one of Label Studio that of the task).
    reason: what was found there and what was done about it.
    """

    line: int
    reason: str

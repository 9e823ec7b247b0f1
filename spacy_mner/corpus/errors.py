"""What goes wrong with a corpus, in words for its owner."""

from __future__ import annotations

from dataclasses import dataclass


class CorpusError(ValueError):
    """A corpus that cannot be read or written at all; the message names the remedy."""


@dataclass(frozen=True)
class Problem:
    """Something in the input that could not be taken as it stands.

    line: number of the line in the input, from 1 (for a .spacy file the number of the Doc).
    reason: what was found there and what was done about it.
    """

    line: int
    reason: str

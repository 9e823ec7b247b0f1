"""What goes wrong with a corpus, in words for its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

# Of a list, before it becomes a nuisance.
SHOWN = 5
# Characters of a value that a message quotes.
QUOTED = 60

T = TypeVar("T")


class CorpusError(ValueError):
    """A corpus that cannot be read or written at all; the message names the remedy."""


@dataclass(frozen=True)
class Problem:
    """Something in the input that could not be taken as it stands.

    line: number of the line in the input, from 1 (for a .spacy file the number of the Doc, for
        one of Label Studio that of the task).
    reason: what was found there and what was done about it.
    """

    line: int
    reason: str


def brief(value: Any) -> str:
    """A value as a message quotes it: however long it is, the message is not."""
    text = repr(value)
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 1]}…"


def first(items: Sequence[T]) -> Sequence[T]:
    """The items of a list that are shown."""
    return items[:SHOWN]


def and_more(items: Sequence[T]) -> str:
    """Say how many items were not shown; empty where all were."""
    return f"… and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""

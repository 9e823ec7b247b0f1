"""Words and numbers as messages show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

# Of a list, before it becomes a nuisance.
SHOWN = 5
# Characters of a value that a message quotes.
QUOTED = 60

T = TypeVar("T")


def printable(text: str) -> str:
    """Text of unknown origin, on one line that no terminal obeys: what does not print escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not one."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


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

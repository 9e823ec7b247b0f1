"""Rows of the input, in chunks that are the unit of work, of memory and of resuming."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

# Rows of a chunk: what a kill can cost, and what is in memory at once.
SIZE = 512


@dataclass(frozen=True)
class Row:
    """One row of the input.

    values: by column.
    problem: why the row could not be read, with what stands there; "" where it could.
    """

    values: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows.

    number: the chunk's place in the input, from 0.
    table: the same rows as Arrow has them, where that is what the input holds.
    """

    number: int
    rows: list[Row]
    table: Any = None

    @property
    def first(self) -> int:
        """The place of its first row in the input, from 1."""
        return self.number * SIZE + 1


def chunked(rows: Iterable[Row]) -> Iterator[Chunk]:
    """Cut a stream of rows into chunks."""
    rest = iter(rows)
    number = 0
    while taken := list(islice(rest, SIZE)):
        yield Chunk(number, taken)
        number += 1

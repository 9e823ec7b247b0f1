"""Rows of the input, in chunks that are the unit of work, of memory and of resuming."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

# Rows of a chunk, and bytes of the input: what a kill can cost, and what is in memory at once.
SIZE = 512
BYTES = 1 << 24
# Bytes of a row of text; a longer one is not read into the memory as a whole.
MAX_ROW = 1 << 24
# Lists and objects within each other. The recursion of json and of pickle reaches deeper by an
# amount that depends on what calls them, and so on the engine.
MAX_DEPTH = 100


@dataclass(frozen=True)
class Row:
    """One row of the input.

    values: by column.
    problem: why the row could not be read, with what stands there; "" where it could.
    size: bytes that it takes in the input, about.
    """

    values: dict[str, Any]
    problem: str = ""
    size: int = 0


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows.

    number: the chunk's place in the input, from 0.
    first: the place of its first row in the input, from 1.
    table: the same rows as Arrow has them, where that is what the input holds.
    """

    number: int
    rows: list[Row]
    first: int = 1
    table: Any = None


def chunked(rows: Iterable[Row]) -> Iterator[Chunk]:
    """Cut a stream of rows into chunks: at SIZE rows, or where they exceed BYTES."""
    taken: list[Row] = []
    number, first, size = 0, 1, 0
    for row in rows:
        taken.append(row)
        size += row.size
        if len(taken) == SIZE or size > BYTES:
            yield Chunk(number, taken, first)
            number, first, size, taken = number + 1, first + len(taken), 0, []
    if taken:
        yield Chunk(number, taken, first)


def too_deep(value: Any) -> bool:
    """Whether a value of JSON has more than MAX_DEPTH lists and objects within each other."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = chain.from_iterable(
            one.values() if isinstance(one, dict) else one for one in level
        )
        level = [one for one in inside if isinstance(one, dict | list)]
        if not level:
            return False
    return True

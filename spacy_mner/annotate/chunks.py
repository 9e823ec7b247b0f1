"""Rows of the input, in chunks: the unit of work, of memory and of resuming."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# Limits of a chunk, in rows and in bytes of the input.
SIZE = 512
BYTES = 1 << 24
# Bytes of a row of text; of a longer one only the beginning is read into memory.
MAX_ROW = 1 << 24
# Levels of nested lists and objects. The recursion limits of json and pickle depend on the depth of
# the calling stack, and so on the engine; a limit of our own gives the same output everywhere.
MAX_DEPTH = 100


@dataclass(frozen=True)
class Row:
    """One row of the input.

    values: by column.
    error: why the row could not be read, with its content; empty if it could.
    size: approximate bytes in the input.
    """

    values: dict[str, Any]
    error: str = ""
    size: int = 0


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows.

    index: of the chunk in the input, from 0.
    first_row: number of its first row in the input, from 1.
    table: the same rows as an Arrow table if the input is Parquet.
    """

    index: int
    rows: list[Row]
    first_row: int = 1
    table: Any = None


def chunked(rows: Iterable[Row]) -> Iterator[Chunk]:
    """Divide rows into chunks of SIZE rows, or fewer if they exceed BYTES."""
    pending: list[Row] = []
    index, first_row, size = 0, 1, 0
    for row in rows:
        pending.append(row)
        size += row.size
        if len(pending) == SIZE or size > BYTES:
            yield Chunk(index, pending, first_row)
            index, first_row, size, pending = index + 1, first_row + len(pending), 0, []
    if pending:
        yield Chunk(index, pending, first_row)


def is_too_deep(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether a list or object of JSON has more than `depth` levels of lists and objects."""
    items = value.values() if isinstance(value, dict) else value
    nested = [item for item in items if isinstance(item, dict | list)]
    return any(depth == 1 or is_too_deep(item, depth - 1) for item in nested)

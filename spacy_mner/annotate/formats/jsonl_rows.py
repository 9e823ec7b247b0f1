"""JSONL: one JSON object per line."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from typing import Any

from ..chunks import MAX_DEPTH, MAX_ROW, Chunk, Row, chunked, is_too_deep
from ..task import Task
from .rows import (
    MAX_COLUMNS,
    MAX_NAME,
    SHOWN,
    Kind,
    Sink,
    Source,
    SourceInfo,
    column_taken,
    dump_json,
    lines_of,
    to_utf8,
)

TOO_DEEP = f"more than {MAX_DEPTH} levels of nested lists and objects:"
# float64 represents every integer up to here.
MAX_EXACT = 1 << 53

KINDS: dict[type, Kind] = {bool: "bool", float: "float", str: "str"}
# The simplest type of a column that holds values of several types; "json" for any other set.
COMMON: dict[frozenset[Kind], Kind] = {
    frozenset(): "str",
    frozenset(("int", "long")): "long",
    frozenset(("int", "float")): "float",
}


class JsonlSource(Source):
    def inspect(self, required: Collection[str] = ()) -> SourceInfo:
        if self.path is None:
            return SourceInfo(n_rows=None, columns=None)
        n_rows, kinds, has_all_columns = 0, dict[str, set[Kind]](), True
        for row in self._rows():
            n_rows += 1
            for name, value in row.values.items():
                fits = len(kinds) < MAX_COLUMNS and len(name) <= MAX_NAME
                if fits or name in kinds or name in required:
                    kinds.setdefault(name, set()).update([] if value is None else [_kind_of(value)])
                else:
                    has_all_columns = False
        columns = {name: _common(found) for name, found in kinds.items()}
        return SourceInfo(n_rows, columns, has_all_columns)

    def chunks(self) -> Iterator[Chunk]:
        return chunked(self._rows())

    def _rows(self) -> Iterator[Row]:
        with nullcontext(sys.stdin.buffer) if self.path is None else self.path.open("rb") as file:
            for line in lines_of(file, b"\n", MAX_ROW):
                if line.strip():
                    yield _row(line)


class JsonlSink(Sink):
    """Every object unchanged, with the added keys."""

    def __init__(self, task: Task, info: SourceInfo) -> None:
        self.added = task.added_columns

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        lines = []
        for row, annotation in zip(chunk.rows, annotations, strict=True):
            # The columns of a file were checked before; those of standard input are not known.
            if taken := [name for name in self.added if name in row.values]:
                raise column_taken(taken[0])
            added = dict(zip(self.added, annotation.values(), strict=True))
            lines.append(dump_json({**row.values, **added}) + "\n")
        return to_utf8("".join(lines))


def _kind_of(value: Any) -> Kind:
    """The type of a JSON value other than null."""
    if type(value) is not int:
        return KINDS.get(type(value), "json")
    if abs(value) <= MAX_EXACT:
        return "int"
    return "long" if abs(value) < 1 << 63 else "json"


def _common(kinds: set[Kind]) -> Kind:
    return next(iter(kinds)) if len(kinds) == 1 else COMMON.get(frozenset(kinds), "json")


def _row(line: bytes) -> Row:
    if len(line) > MAX_ROW:
        return _invalid(line[:SHOWN], f"line of more than {MAX_ROW:,} bytes, beginning with")
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        return _invalid(line, f"not a line of JSON ({error}):")
    except RecursionError:
        return _invalid(line, TOO_DEEP)
    if not isinstance(values, dict):
        return _invalid(line, "not a JSON object:")
    if is_too_deep(values):
        return _invalid(line, TOO_DEEP)
    return Row(values, size=len(line))


def _invalid(line: bytes, reason: str) -> Row:
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return Row({}, f"{reason} {text}", size=len(line))

"""JSONL: one JSON object per line."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..chunks import MAX_DEPTH, MAX_ROW, Chunk, Row, chunked, is_too_deep
from ..task import Task
from .rows import (
    MAX_COLUMNS,
    MAX_NAME,
    Kind,
    Sink,
    Source,
    SourceInfo,
    append_files,
    column_taken,
    json_default,
)

# Characters of a line above MAX_ROW that its error shows.
SHOWN = 2000
TOO_DEEP = f"more than {MAX_DEPTH} levels of nested lists and objects:"
# float64 represents every integer up to here.
MAX_EXACT = 1 << 53


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
                    kinds.setdefault(name, set()).update([] if value is None else [kind_of(value)])
                else:
                    has_all_columns = False
        columns = {name: _common(found) for name, found in kinds.items()}
        return SourceInfo(n_rows, columns, has_all_columns)

    def chunks(self) -> Iterator[Chunk]:
        return chunked(self._rows())

    def _rows(self) -> Iterator[Row]:
        with self._open() as file:
            for line in _lines(file):
                if line.strip():
                    yield _row(line)

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.path is None:
            yield sys.stdin.buffer
        else:
            with self.path.open("rb") as file:
                yield file


class JsonlSink(Sink):
    """Every object unchanged, with the added keys."""

    def __init__(self, task: Task, info: SourceInfo, suffix: str) -> None:
        self.added = task.added_columns

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        lines = []
        for row, annotation in zip(chunk.rows, annotations, strict=True):
            # The columns of a file were checked before; those of standard input are not known.
            if taken := [name for name in self.added if name in row.values]:
                raise column_taken(taken[0])
            added = dict(zip(self.added, annotation.values(), strict=True))
            lines.append(_dump({**row.values, **added}))
        return b"".join(lines)

    def concatenate(self, parts: Iterable[Path], output: IO[bytes]) -> None:
        append_files(output, parts)


def kind_of(value: Any) -> Kind:
    """The type of a JSON value other than null."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if abs(value) <= MAX_EXACT:
            return "int"
        return "long" if abs(value) < 1 << 63 else "json"
    if isinstance(value, float):
        return "float"
    return "str" if isinstance(value, str) else "json"


def _common(kinds: set[Kind]) -> Kind:
    """The simplest type of a column that holds values of these types."""
    if not kinds:
        return "str"
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"int", "long"}:
        return "long"
    return "float" if kinds == {"int", "float"} else "json"


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; of one above MAX_ROW only the beginning."""
    while line := file.readline(MAX_ROW + 1):
        yield line
        rest = line
        while len(rest) > MAX_ROW and not rest.endswith(b"\n"):
            rest = file.readline(MAX_ROW + 1)


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


def _dump(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, default=json_default).encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, which JSON represents as an escape only
        return json.dumps(record, default=json_default).encode() + b"\n"

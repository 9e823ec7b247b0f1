"""JSONL: an object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..chunks import MAX_DEPTH, MAX_ROW, Chunk, Row, chunked, too_deep
from ..task import Task
from .rows import MAX_COLUMNS, MAX_NAME, Kind, Sink, Source, Survey, column_taken, copy_into, plain

# Characters of a line that is too long that its error shows.
SHOWN = 2000
TOO_DEEP = f"more than {MAX_DEPTH} lists and objects within each other:"
# The largest integer up to which a float64 holds all.
EXACT = 1 << 53


class JsonlSource(Source):
    def survey(self, asked: Collection[str] = ()) -> Survey:
        if self.path is None:
            return Survey(rows=None, columns=None)
        number, columns = 0, _Columns(asked)
        for row in self._rows():
            number += 1
            columns.see(row.values)
        return Survey(number, columns.kinds(), columns.whole)

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
    """Every row as it was, and the names that are added."""

    def __init__(self, task: Task, survey: Survey, suffix: str) -> None:
        self.added = task.added

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        lines = []
        for row, annotation in zip(chunk.rows, annotations, strict=True):
            # A file was looked through for these; a pipe shows what it holds as it comes.
            if taken := [name for name in self.added if name in row.values]:
                raise column_taken(taken[0])
            added = dict(zip(self.added, annotation.values(), strict=True))
            lines.append(_dump({**row.values, **added}))
        return b"".join(lines)

    def join(self, parts: Iterable[Path], output: IO[bytes]) -> None:
        for part in parts:
            copy_into(output, part)


class _Columns:
    """The columns that rows have, by what is seen of them: at most so many, and those asked for."""

    def __init__(self, asked: Collection[str]) -> None:
        self.asked = asked
        self.whole = True
        self._kinds: dict[str, set[Kind]] = {}

    def see(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name not in self._kinds and not self._takes(name):
                self.whole = False
                continue
            found = self._kinds.setdefault(name, set())
            if value is not None:
                found.add(kind_of(value))

    def kinds(self) -> dict[str, Kind]:
        return {name: _common(found) for name, found in self._kinds.items()}

    def _takes(self, name: str) -> bool:
        fits = len(self._kinds) < MAX_COLUMNS and len(name) <= MAX_NAME
        return fits or name in self.asked


def kind_of(value: Any) -> Kind:
    """The type of a JSON value that is not null."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if abs(value) <= EXACT:
            return "int"
        return "long" if abs(value) < 1 << 63 else "json"
    if isinstance(value, float):
        return "float"
    return "str" if isinstance(value, str) else "json"


def _common(kinds: set[Kind]) -> Kind:
    """The type of a column, from those of its values."""
    if not kinds:
        return "str"
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"int", "long"}:
        return "long"
    return "float" if kinds == {"int", "float"} else "json"


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, each no longer than a bit above MAX_ROW; of a longer one its start."""
    while line := file.readline(MAX_ROW + 1):
        yield line
        rest = line
        while len(rest) > MAX_ROW and not rest.endswith(b"\n"):
            rest = file.readline(MAX_ROW + 1)


def _row(line: bytes) -> Row:
    if len(line) > MAX_ROW:
        return _broken(line[:SHOWN], f"line of more than {MAX_ROW:,} bytes, which begins")
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        return _broken(line, f"not a line of JSON ({error}):")
    except RecursionError:
        return _broken(line, TOO_DEEP)
    if not isinstance(values, dict):
        return _broken(line, "not a JSON object:")
    if too_deep(values):
        return _broken(line, TOO_DEEP)
    return Row(values, size=len(line))


def _broken(line: bytes, reason: str) -> Row:
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return Row({}, f"{reason} {text}", size=len(line))


def _dump(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, default=plain).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON holds as an escape only
        return json.dumps(record, default=plain).encode() + b"\n"

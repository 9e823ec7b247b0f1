"""JSONL: an object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..chunks import Chunk, Row, chunked
from ..task import Task
from .base import Kind, Sink, Source, Survey, column_taken, copy_into, plain

# A longer line is not read into the memory as a whole.
MAX_LINE = 1 << 26
# Characters of a broken line that its error shows.
SHOWN = 2000


class JsonlSource(Source):
    def survey(self) -> Survey:
        if self.path is None:
            return Survey(rows=None, columns=None)
        kinds: dict[str, set[Kind]] = {}
        number = 0
        for row in self._rows():
            number += 1
            for name, value in row.values.items():
                found = kinds.setdefault(name, set())
                if value is not None:
                    found.add(kind_of(value))
        return Survey(number, {name: _common(found) for name, found in kinds.items()})

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


def kind_of(value: Any) -> Kind:
    """The type of a JSON value that is not null."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) < 1 << 63 else "json"
    if isinstance(value, float):
        return "float"
    return "str" if isinstance(value, str) else "json"


def _common(kinds: set[Kind]) -> Kind:
    """The type of a column, from those of its values."""
    if kinds <= {"int", "float"} and len(kinds) == 2:
        return "float"
    if not kinds:
        return "str"
    return next(iter(kinds)) if len(kinds) == 1 else "json"


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, each no longer than a bit above MAX_LINE; of a longer one its start."""
    while line := file.readline(MAX_LINE + 1):
        yield line
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE + 1)


def _row(line: bytes) -> Row:
    if len(line) > MAX_LINE:
        return _broken(line[:SHOWN], f"line of more than {MAX_LINE:,} bytes, which begins")
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return _broken(line, f"not a line of JSON ({error}):")
    if not isinstance(values, dict):
        return _broken(line, "not a JSON object:")
    return Row(values, size=len(line))


def _broken(line: bytes, reason: str) -> Row:
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return Row({}, f"{reason} {text}", size=len(line))


def _dump(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, default=plain).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON holds as an escape only
        return json.dumps(record, default=plain).encode() + b"\n"

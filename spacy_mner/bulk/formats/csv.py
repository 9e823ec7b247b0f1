"""CSV with a header, and TSV: the same with tabs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO

from ...corpus.errors import CorpusError
from ..chunks import Chunk, Row, chunked
from ..task import Task
from .base import Kind, Sink, Source, Survey, copy_into, plain

TAB = ".tsv"
# Characters of a cell; the module's own limit is a setting of the whole process.
MAX_CELL = 1 << 20


class CsvSource(Source):
    def survey(self) -> Survey:
        header = self._header()
        columns: dict[str, Kind] = dict.fromkeys(header, "str")
        return Survey(sum(1 for _ in self._rows()), columns)

    def chunks(self) -> Iterator[Chunk]:
        return chunked(self._rows())

    def _header(self) -> list[str]:
        with self._open() as file:
            header = next(self._records(file), [])
        if isinstance(header, str) or not header or len(set(header)) < len(header):
            raise CorpusError(f"{self.path} does not begin with a line of different column names.")
        return header

    def _rows(self) -> Iterator[Row]:
        header = self._header()
        with self._open() as file:
            records = self._records(file)
            next(records)
            for record in records:
                if record:
                    yield _row(header, record)

    def _open(self) -> TextIO:
        assert self.path is not None
        # A byte that is not UTF-8 must not end the run: it stays visible, as its escape.
        return self.path.open(encoding="utf-8-sig", errors="backslashreplace", newline="")

    def _records(self, file: TextIO) -> Iterator[list[str] | str]:
        """The records of the file, or what is wrong in place of one."""
        assert self.path is not None
        csv.field_size_limit(MAX_CELL)
        reader = csv.reader(file, delimiter=_delimiter(self.path.suffix.lower()))
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"line {reader.line_num} is not CSV ({error})"


class CsvSink(Sink):
    """The columns of the input, and those that are added; lists in a cell are JSON."""

    def __init__(self, task: Task, survey: Survey, suffix: str) -> None:
        assert survey.columns is not None
        self.columns = list(survey.columns)
        self.header = [*self.columns, *task.added]
        self.delimiter = _delimiter(suffix)

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        return self._write(
            [*(row.values.get(name) for name in self.columns), *annotation.values()]
            for row, annotation in zip(chunk.rows, annotations, strict=True)
        )

    def join(self, parts: Iterable[Path], output: IO[bytes]) -> None:
        output.write(self._write([self.header]))
        for part in parts:
            copy_into(output, part)

    def _write(self, records: Iterable[list[Any]]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter)
        writer.writerows([_cell(value) for value in record] for record in records)
        return text.getvalue().encode("utf-8", "backslashreplace")


def _delimiter(suffix: str) -> str:
    return "\t" if suffix == TAB else ","


def _row(header: list[str], record: list[str] | str) -> Row:
    if isinstance(record, str):
        return Row({}, record)
    if len(record) != len(header):
        cells = json.dumps(record, ensure_ascii=False)
        return Row({}, f"{len(record)} cells where the header has {len(header)}: {cells}")
    return Row(dict(zip(header, record, strict=True)), size=sum(map(len, record)))


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bytes):
        return plain(value)
    return json.dumps(value, ensure_ascii=False, default=plain)

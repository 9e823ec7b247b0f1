"""CSV with a header, and TSV: the same with tabs."""

from __future__ import annotations

import csv
import io
import json
import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO

from ...errors import CorpusError
from ..chunks import MAX_ROW, Chunk, Row, chunked
from ..task import Task
from .rows import Kind, Sink, Source, SourceInfo, append_files, json_default

# Characters of a cell; the csv module's own limit is a global setting.
MAX_CELL = 1 << 20
# Bytes that are not UTF-8, as decoded with "surrogateescape".
NOT_UTF8 = re.compile("[\udc80-\udcff]")
USE_UTF8 = "not UTF-8 (save the file as UTF-8)"


class CsvSource(Source):
    def inspect(self, required: Collection[str] = ()) -> SourceInfo:
        columns: dict[str, Kind] = dict.fromkeys(self._header(), "str")
        return SourceInfo(sum(1 for _ in self._rows()), columns)

    def chunks(self) -> Iterator[Chunk]:
        return chunked(self._rows())

    def _header(self) -> list[str]:
        with self._open() as file:
            header = next(self._records(file), [])
        if isinstance(header, str) or not header or len(set(header)) < len(header):
            raise CorpusError(f"{self.path} does not begin with a line of distinct column names.")
        if any(map(NOT_UTF8.search, header)):
            raise CorpusError(f"The first line of {self.path} is {USE_UTF8}.")
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
        # A byte that is not UTF-8 is an error of its row, not of the file.
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _records(self, file: TextIO) -> Iterator[list[str] | str]:
        """The records of the file, or an error message in place of one."""
        assert self.path is not None
        csv.field_size_limit(MAX_CELL)
        lines = _LimitedLines(file)
        reader = csv.reader(lines, delimiter=_delimiter(self.path.suffix.lower()))
        while True:
            lines.size = 0
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"line {reader.line_num} is not CSV ({error})"


class _LimitedLines:
    """The lines of a file for csv.reader, which does not limit the length of a record.

    size: characters of the current record that were read.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.size = 0

    def __iter__(self) -> _LimitedLines:
        return self

    def __next__(self) -> str:
        line = self.file.readline(MAX_ROW)
        self.size += len(line)
        if not line:
            raise StopIteration
        if self.size >= MAX_ROW:
            while line and not line.endswith(("\n", "\r")):
                line = self.file.readline(MAX_ROW)
            raise csv.Error(f"a row of {MAX_ROW:,} characters or more")
        return line


class CsvSink(Sink):
    """The columns of the input and the added ones; lists are JSON."""

    def __init__(self, task: Task, info: SourceInfo, suffix: str) -> None:
        assert info.columns is not None
        self.columns = list(info.columns)
        self.header = [*self.columns, *task.added_columns]
        self.delimiter = _delimiter(suffix)

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        return self._write(
            [*(row.values.get(name) for name in self.columns), *annotation.values()]
            for row, annotation in zip(chunk.rows, annotations, strict=True)
        )

    def concatenate(self, parts: Iterable[Path], output: IO[bytes]) -> None:
        header = self._write([self.header])
        # A reader removes one byte order mark, so a name that begins with one needs a second.
        output.write(BOM_UTF8 if header.startswith(BOM_UTF8) else b"")
        output.write(header)
        append_files(output, parts)

    def _write(self, records: Iterable[list[Any]]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter)
        writer.writerows([_cell(value) for value in record] for record in records)
        return text.getvalue().encode("utf-8", "backslashreplace")


def _delimiter(suffix: str) -> str:
    return "\t" if suffix == ".tsv" else ","


def _row(header: list[str], record: list[str] | str) -> Row:
    if isinstance(record, str):
        return Row({}, record)
    size = sum(map(len, record))
    if len(record) != len(header):
        reason = f"{len(record)} cells, but the header has {len(header)}"
    elif any(map(NOT_UTF8.search, record)):
        reason = USE_UTF8
    else:
        return Row(dict(zip(header, record, strict=True)), size=size)
    return Row({}, f"{reason}: {_shown(record)}", size)


def _shown(record: list[str]) -> str:
    """The cells of a row as JSON, with bytes that are not UTF-8 as escapes."""
    cells = json.dumps(record, ensure_ascii=False)
    return cells.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bytes):
        return json_default(value)
    return json.dumps(value, ensure_ascii=False, default=json_default)

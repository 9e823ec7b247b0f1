"""CSV with a header, and TSV: the same with tabs."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from ...errors import CorpusError
from ..chunks import MAX_ROW, Chunk, Row, chunked
from ..task import Task
from .rows import Kind, Sink, Source, SourceInfo, dump_json, json_default, to_utf8

# Characters of a cell; the csv module's own limit is a global setting.
MAX_CELL = 1 << 20
# Bytes that are not UTF-8, as decoded with "surrogateescape".
NOT_UTF8 = re.compile("[\udc80-\udcff]")
USE_UTF8 = "not UTF-8 (save the file as UTF-8)"


class CsvSource(Source):
    def __init__(self, path: Path | None, delimiter: str) -> None:
        super().__init__(path)
        self.delimiter = delimiter

    def inspect(self, required: Collection[str] = ()) -> SourceInfo:
        header, records = self._read()
        columns: dict[str, Kind] = dict.fromkeys(header, "str")
        return SourceInfo(sum(1 for record in records if record), columns)

    def chunks(self) -> Iterator[Chunk]:
        header, records = self._read()
        return chunked(_row(header, record) for record in records if record)

    def _read(self) -> tuple[list[str], Iterator[list[str] | str]]:
        """The names of the columns, and the records after them."""
        records = self._records()
        header = next(records, [])
        if isinstance(header, str) or not header or len(set(header)) < len(header):
            raise CorpusError(f"{self.path} does not begin with a line of distinct column names.")
        if any(map(NOT_UTF8.search, header)):
            raise CorpusError(f"The first line of {self.path} is {USE_UTF8}.")
        return header, records

    def _records(self) -> Iterator[list[str] | str]:
        """The records of the file, or an error message in place of one."""
        assert self.path is not None
        csv.field_size_limit(MAX_CELL)
        # A byte that is not UTF-8 is an error of its row, not of the file.
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            size = 0  # of the current record in characters, which csv.reader does not limit

            def read_line() -> str:
                nonlocal size
                line = file.readline(MAX_ROW)
                size += len(line)
                if size < MAX_ROW:
                    return line
                while line and not line.endswith(("\n", "\r")):
                    line = file.readline(MAX_ROW)
                raise csv.Error(f"a row of {MAX_ROW:,} characters or more")

            reader = csv.reader(iter(read_line, ""), delimiter=self.delimiter)
            while True:
                size = 0
                try:
                    yield next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield f"line {reader.line_num} is not CSV ({error})"


class CsvSink(Sink):
    """The columns of the input and the added ones; lists are JSON."""

    def __init__(self, task: Task, info: SourceInfo, delimiter: str) -> None:
        assert info.columns is not None
        self.columns = list(info.columns)
        self.header = [*self.columns, *task.added_columns]
        self.delimiter = delimiter

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
        super().concatenate(parts, output)

    def _write(self, records: Iterable[list[Any]]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter)
        writer.writerows(map(_cell, record) for record in records)
        return to_utf8(text.getvalue())


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
    # Bytes that are not UTF-8 are shown as escapes.
    shown = dump_json(record).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return Row({}, f"{reason}: {shown}", size)


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json_default(value) if isinstance(value, bytes) else dump_json(value)

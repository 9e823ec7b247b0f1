"""CSV with a header, and TSV: the same with tabs."""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...errors import CorpusError
from ...utils.text import printable
from ..chunks import MAX_ROW, Chunk, Row, chunked
from ..task import Task
from .rows import SHOWN, Kind, Sink, Source, SourceInfo, dump_json, json_default, lines_of, to_utf8

# Characters of a cell; the csv module's own limit is a global setting.
MAX_CELL = 1 << 20
# Bytes that are not UTF-8, as decoded with "surrogateescape".
NOT_UTF8 = re.compile("[\udc80-\udcff]")
# UTF-16 as decoded in the same way: a byte order mark, or every other byte is NUL.
UTF_16 = re.compile("\udcff\udcfe|\udcfe\udcff|(.\0){3}")


class Record(NamedTuple):
    """A row of the file, or its header.

    line: number of its first line.
    lines: its text.
    cells: none if it is a blank line, or cannot be read.
    reason: why it cannot be read.
    """

    line: int
    lines: list[str]
    cells: list[str]
    reason: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.cells and not self.reason


class CsvSource(Source):
    """A CSV or TSV file.

    delimiters: the first of them that occurs in the header separates cells.
    quoting: "standard" (RFC 4180) or "none" (a quote is a character like any other). By default
        standard, and `inspect` raises CorpusError if that may not be how the file was written.
    """

    def __init__(self, path: Path | None, delimiters: str, quoting: str | None = None) -> None:
        super().__init__(path)
        self.delimiters = delimiters
        self.quoting = quoting

    def inspect(self, required: Collection[str] = ()) -> SourceInfo:
        delimiter, header, records = self._read()
        if self.quoting is None:
            records = self._check_quoting(delimiter, header, records)
        columns: dict[str, Kind] = dict.fromkeys(header.cells, "str")
        n_rows = sum(1 for record in records if not record.is_blank)
        unquoted = delimiter if self.quoting == "none" else ""
        return SourceInfo(n_rows, columns, unquoted=unquoted)

    def chunks(self) -> Iterator[Chunk]:
        _, header, records = self._read()
        return chunked(_row(header.cells, record) for record in records if not record.is_blank)

    def _read(self) -> tuple[str, Record, Iterator[Record]]:
        """The delimiter, the header, and the records after it."""
        with self._open("") as file:
            first = file.readline(MAX_ROW)
        is_utf16 = bool(UTF_16.search(first))
        if is_utf16 or NOT_UTF8.search(first):
            encoding = "UTF-16" if is_utf16 else "CP1252"
            raise CorpusError(
                f"The first line of {self.path} is not UTF-8. Save the file as UTF-8, for example "
                f"with: iconv -f {encoding} -t UTF-8 {self.path} > NEW_FILE"
            )
        delimiter = next((one for one in self.delimiters if one in first), self.delimiters[0])
        # A carriage return ends lines only in files of the classic Mac OS.
        records = self._records("" if first.endswith("\r") else "\n", delimiter)
        header = next(records, None)
        if header is None:
            raise CorpusError(f"{self.path} is empty; it needs a line of column names.")
        if header.reason or not header.cells or len(set(header.cells)) < len(header.cells):
            raise CorpusError(
                f"{self.path} does not begin with a line of distinct column names. Add it, or "
                "rename duplicates."
            )
        if header.cells[0].startswith("sep="):
            raise CorpusError(
                f"{self.path}: the first line, {first.strip()!r}, is for Excel: delete it."
            )
        return delimiter, header, records

    def _open(self, newline: str) -> IO[str]:
        assert self.path is not None
        # A byte that is not UTF-8 is an error of its row, not of the file.
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)

    def _records(self, newline: str, delimiter: str) -> Iterator[Record]:
        with self._open(newline) as file:
            lines = lines_of(file, ("\n", "\r"), MAX_ROW)
            read = _unquoted_records if self.quoting == "none" else _standard_records
            yield from read(lines, delimiter)

    def _check_quoting(
        self, delimiter: str, header: Record, records: Iterable[Record]
    ) -> Iterator[Record]:
        """Pass records on, and raise CorpusError if they may have been written without quoting.

        A quoted cell of several lines is ambiguous if each of these lines has as many cells as the
        header: they may be rows, with quotes in their text. So is any quoted cell if another one
        has a quote without being quoted, unless a cell has doubled quotes. Then the file is quoted
        if a name in the header is, or a cell that could not be read otherwise.
        """
        ambiguous = enclosed = stray = 0
        is_doubled = False
        is_quoted = '"' in header.lines[0]
        for record in records:
            yield record
            if not any('"' in line for line in record.lines):
                continue
            unquoted = [_without_end(line).split(delimiter) for line in record.lines]
            if unquoted == [record.cells]:
                stray = stray or record.line
                continue
            enclosed = enclosed or record.line
            if len(record.cells) != len(header.cells):
                raise self._not_standard(record.line, _reason(header.cells, record))
            is_doubled |= any('"' in cell for cell in set(record.cells).difference(*unquoted))
            if any(len(cells) != len(header.cells) for cells in unquoted):
                is_quoted = True
            elif len(unquoted) > 1:
                ambiguous = ambiguous or record.line
        if ambiguous and not is_quoted:
            reason = "the quotes may enclose one cell on several lines, or be text of several rows"
            raise self._not_standard(ambiguous, reason)
        if enclosed and stray and not (is_quoted or is_doubled):
            reason = f"the quotes may be text, as line {stray:,} has quotes in a cell without any"
            raise self._not_standard(enclosed, f"{reason} around it")

    def _not_standard(self, line: int, reason: str) -> CorpusError:
        return CorpusError(
            f"{self.path}, line {line:,}: {reason}. If quotes have no special meaning in this file "
            "(TSV of raw posts), pass --quoting none. If they enclose cells (RFC 4180), pass "
            "--quoting standard: rows that do not conform are written with an error."
        )


class CsvSink(Sink):
    """The columns of the input and the added ones; lists are JSON.

    TSV without quoting is written without quoting: its cells contain neither tabs nor line breaks.
    """

    def __init__(self, task: Task, info: SourceInfo, delimiter: str) -> None:
        assert info.columns is not None
        self.columns = list(info.columns)
        self.header = [*self.columns, *task.added_columns]
        self.delimiter = delimiter
        self.is_quoted = not delimiter == info.unquoted == "\t"

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        return self._write(
            [
                *(_cell(row.values.get(name)) for name in self.columns),
                *map(self._added_cell, annotation.values()),
            ]
            for row, annotation in zip(chunk.rows, annotations, strict=True)
        )

    def concatenate(self, chunks: Iterable[Path], output: IO[bytes]) -> None:
        header = self._write([self.header])
        # A reader removes one byte order mark, so a name that begins with one needs a second.
        output.write(BOM_UTF8 if header.startswith(BOM_UTF8) else b"")
        output.write(header)
        super().concatenate(chunks, output)

    def _added_cell(self, value: Any) -> str:
        # A reason or error may quote a whole line of the input.
        return _cell(value if self.is_quoted or not isinstance(value, str) else printable(value))

    def _write(self, records: Iterable[list[str]]) -> bytes:
        if not self.is_quoted:
            return to_utf8("".join(self.delimiter.join(record) + "\n" for record in records))
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter).writerows(records)
        return to_utf8(text.getvalue())


class _Lines(Iterator[str]):
    """Lines for csv.reader, which ends a record in the middle of a line only with an error."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._size = 0

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._record.append(line)
        self._size += len(line)
        if self._size > MAX_ROW:
            raise csv.Error(_too_long())
        return line

    def end_record(self, *, is_valid: bool) -> list[str]:
        """Return the lines of the record; only the first if it is invalid, and read the others
        again."""
        record = self._record if is_valid else self._record[:1]
        self._again.extendleft(reversed(self._record[len(record) :]))
        self._record, self._size = [], 0
        return record


def _standard_records(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(MAX_CELL)
    used = _Lines(lines)
    reader = csv.reader(used, delimiter=delimiter, strict=True)
    line, n_columns = 1, 0
    while True:
        cells, reason = list[str](), ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            hint = str(error).partition(" - ")[0]  # without advice on how to call Python's open
            reason = f"not CSV with standard quoting ({hint})"
        n_columns = n_columns or len(cells)
        record = used.end_record(is_valid=not reason and len(cells) in (0, n_columns))
        yield Record(line, record, cells, reason)
        line += len(record)


def _unquoted_records(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_ROW:
            yield Record(number, [line], [], _too_long())
        else:
            content = _without_end(line)
            yield Record(number, [line], content.split(delimiter) if content else [])


def _too_long() -> str:
    return f"a row of more than {MAX_ROW:,} characters"


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _row(header: list[str], record: Record) -> Row:
    reason, size = _reason(header, record), sum(map(len, record.lines))
    if not reason:
        return Row(dict(zip(header, record.cells, strict=True)), size=size)
    line = _without_end(record.lines[0])
    shown = line[: MAX_ROW if len(line) <= MAX_ROW else SHOWN]
    shown = shown if record.reason else dump_json(record.cells)
    # Bytes that are not UTF-8 are shown as escapes.
    shown = shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return Row({}, f"{reason}: {shown}", size)


def _reason(header: list[str], record: Record) -> str:
    """Why a record is not a row, or ""."""
    if record.reason:
        return record.reason
    if len(record.cells) != len(header):
        return f"{len(record.cells)} cells, but the header has {len(header)}"
    is_utf8 = not any(map(NOT_UTF8.search, record.cells))
    return "" if is_utf8 else "not UTF-8 (save the file as UTF-8)"


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json_default(value) if isinstance(value, bytes) else dump_json(value)

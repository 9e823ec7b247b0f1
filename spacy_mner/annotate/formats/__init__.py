"""Input and output formats: JSONL, CSV and Parquet.

A source reads rows in chunks. A sink encodes a chunk with its annotations as bytes, and
concatenates all of them into the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CorpusError, UsageError
from .csv_rows import CsvSink, CsvSource
from .jsonl_rows import JsonlSink, JsonlSource
from .rows import MAX_COLUMNS, MAX_NAME, Sink, Source, SourceInfo, to_utf8

if TYPE_CHECKING:
    from ..task import Task

# The name of standard input and output.
PIPE = "-"
# Excel writes CSV with semicolons where the comma is the decimal separator. Output has the first.
DELIMITERS = {".csv": ",;\t", ".tsv": "\t"}
# Characters of a column's name that an error shows.
SHOWN = 100


def open_source(name: str, quoting: str | None = None) -> Source:
    """The source of an input file or of standard input.

    quoting: of CSV and TSV; by default what the file conforms to.

    Raises UsageError for an unknown suffix, and CorpusError if there is no file.
    """
    source, _ = _source_and_sink(name, quoting)
    if name == PIPE:
        return source(None)
    path = Path(name)
    if not path.is_file():
        raise CorpusError(f"There is no file {name} to annotate.")
    return source(path)


def open_sink(name: str, task: Task, info: SourceInfo) -> Sink:
    """The sink of an output file or of standard output, for an input.

    Raises UsageError if the format of the output cannot hold the columns of the input.
    """
    _, sink = _source_and_sink(name)
    if sink is not JsonlSink:
        if info.columns is None:
            raise UsageError(
                f"{name}: rows of standard input can only be written as .jsonl or {PIPE}."
            )
        if not info.has_all_columns:
            raise UsageError(
                f"{name}: the input has more than {MAX_COLUMNS:,} columns, or a name of more than "
                f"{MAX_NAME:,} characters. Write such rows to a .jsonl file."
            )
        _check_distinct(name, info.columns)
    return sink(task, info)


def _source_and_sink(
    name: str, quoting: str | None = None
) -> tuple[Callable[[Path | None], Source], Callable[..., Sink]]:
    suffix = Path(name).suffix.lower()
    if quoting and suffix not in DELIMITERS:
        raise UsageError(f"{name}: --quoting applies to .csv and .tsv input only; remove it.")
    if name == PIPE or suffix == ".jsonl":
        return JsonlSource, JsonlSink
    if suffix in DELIMITERS:
        delimiters = DELIMITERS[suffix]
        source = partial(CsvSource, delimiters=delimiters, quoting=quoting)
        return source, partial(CsvSink, delimiter=delimiters[0])
    if suffix != ".parquet":
        raise UsageError(
            f"{name}: unsupported suffix. Use .jsonl, .csv, .tsv, .parquet, or {PIPE} for JSONL on "
            "standard input or output."
        )
    try:
        from .parquet_rows import ParquetSink, ParquetSource
    except ImportError as error:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed: pip install 'spacy-mner[parquet]'"
        ) from error
    return ParquetSource, ParquetSink


def _check_distinct(name: str, columns: Iterable[str]) -> None:
    """Raise UsageError if two columns would have the same name in the output."""
    written: dict[bytes, str] = {}
    for column in columns:
        other = written.setdefault(to_utf8(column), column)
        if other != column:
            raise UsageError(
                f"{name}: the columns {other[:SHOWN]!r} and {column[:SHOWN]!r} of the input would "
                "have the same name. Rename one of them, or write the rows to a .jsonl file."
            )

"""The files that posts come in and go out by: JSONL, CSV and Parquet.

A source reads rows in chunks. A sink turns a chunk and its annotations into the bytes of a part,
and lays parts one after the other into the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CorpusError
from .csv_rows import CsvSink, CsvSource
from .jsonl_rows import JsonlSink, JsonlSource
from .parquet_rows import ParquetSink, ParquetSource
from .rows import MAX_COLUMNS, MAX_NAME, Kind, Sink, Source, Survey, column_taken, escaped

if TYPE_CHECKING:
    from ..task import Task

__all__ = ["PIPE", "Kind", "Sink", "Source", "Survey", "column_taken", "open_sink", "open_source"]

# The name that stands for standard input and output.
PIPE = "-"
# Characters of a column's name that an error tells.
SHOWN = 100

SOURCES: dict[str, Callable[[Path | None], Source]] = {
    ".jsonl": JsonlSource,
    ".csv": CsvSource,
    ".tsv": CsvSource,
    ".parquet": ParquetSource,
}
SINKS: dict[str, Callable[[Task, Survey, str], Sink]] = {
    ".jsonl": JsonlSink,
    ".csv": CsvSink,
    ".tsv": CsvSink,
    ".parquet": ParquetSink,
}


def suffix_of(name: str) -> str:
    """The format of a file, as a suffix; `-` is JSONL. Raises CorpusError for any other."""
    suffix = ".jsonl" if name == PIPE else Path(name).suffix.lower()
    if suffix not in SOURCES:
        raise CorpusError(
            f"{name}: posts are read from and written to files that end in one of "
            f"{', '.join(SOURCES)}, or {PIPE} for JSONL by a pipe."
        )
    return suffix


def open_source(name: str) -> Source:
    """Where the rows of the input come from. Raises CorpusError where there is nothing."""
    build = SOURCES[suffix_of(name)]
    if name == PIPE:
        return build(None)
    path = Path(name)
    if not path.is_file():
        raise CorpusError(f"There is no file {name} to annotate.")
    return build(path)


def open_sink(name: str, task: Task, survey: Survey) -> Sink:
    """What writes the output; survey: of the input."""
    suffix = suffix_of(name)
    if survey.columns is None and suffix != ".jsonl":
        raise CorpusError(f"{name}: what comes by a pipe goes out as .jsonl, or by a pipe.")
    if not survey.whole and suffix != ".jsonl":
        raise CorpusError(
            f"{name}: the input has more than {MAX_COLUMNS:,} columns, or one whose name has more "
            f"than {MAX_NAME:,} characters; write such rows to a .jsonl file."
        )
    if suffix != ".jsonl":
        _check_apart(name, survey.columns or ())
    return SINKS[suffix](task, survey, suffix)


def _check_apart(name: str, columns: Iterable[str]) -> None:
    """Raise CorpusError where two columns would have one name in the output."""
    written: dict[str, str] = {}
    for column in columns:
        other = written.setdefault(escaped(column), column)
        if other != column:
            raise CorpusError(
                f"{name}: the columns {other[:SHOWN]!r} and {column[:SHOWN]!r} of the input have "
                "one name there; rename one of them, or write such rows to a .jsonl file."
            )

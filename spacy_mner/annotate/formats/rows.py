"""The interfaces of sources and sinks."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, AnyStr, Literal

from ...errors import UsageError
from ...images.data_uris import encode_data_uri
from ..chunks import Chunk

# The type of a column. A "long" is an integer that float64 does not represent exactly; "json" is
# any other value, and is written as text.
Kind = Literal["bool", "int", "long", "float", "str", "json"]
# Limits of an input without a header if the output has one. The memory of `inspect` must not grow
# with the input.
MAX_COLUMNS = 1_000
MAX_NAME = 1_000
# Bytes or characters of a line above the limit that its error shows.
SHOWN = 2000


@dataclass(frozen=True)
class SourceInfo:
    """Size and columns of an input.

    n_rows: None if unknown.
    columns: the type of each, in order; None if unknown.
    has_all_columns: whether `columns` is complete.
    unquoted: the delimiter if the input is CSV or TSV without quoting.
    schema: the Arrow schema if the input is Parquet.
    """

    n_rows: int | None
    columns: Mapping[str, Kind] | None
    has_all_columns: bool = True
    unquoted: str = ""
    schema: Any = field(default=None, compare=False)


class Source(ABC):
    """Rows of an input; `path` is None for standard input."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @abstractmethod
    def inspect(self, required: Collection[str] = ()) -> SourceInfo:
        """Read the input once. Raises CorpusError if it cannot be read.

        required: columns that are included, if present, even if there are too many others.
        """

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """The rows in order; a row that cannot be read has an error."""


class Sink(ABC):
    """Writes rows with their annotations."""

    @abstractmethod
    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        """The bytes of a chunk in the output.

        annotations: one per row, with the values of the added columns in order.
        """

    def concatenate(self, chunks: Iterable[Path], output: IO[bytes]) -> None:
        """Write the files of all chunks to the output."""
        for chunk in chunks:
            with chunk.open("rb") as file:
                shutil.copyfileobj(file, output, 1 << 20)


def lines_of(file: IO[AnyStr], ends: AnyStr | tuple[AnyStr, ...], limit: int) -> Iterator[AnyStr]:
    """The lines of a file; of a line above the limit only its beginning, which is above it too."""
    while line := file.readline(limit + 1):
        yield line
        while len(line) > limit and not line.endswith(ends):
            line = file.readline(limit + 1)


def dump_json(value: Any) -> str:
    """JSON on one line, with non-ASCII characters as they are."""
    return json.dumps(value, ensure_ascii=False, default=json_default)


def json_default(value: Any) -> str:
    """A value of Parquet that JSON does not have: bytes as a data URI, any other as a string."""
    return encode_data_uri(value) if isinstance(value, bytes) else str(value)


def to_utf8(text: str) -> bytes:
    """Encode text; lone surrogates, which UTF-8 cannot represent, become escapes as in JSON."""
    return text.encode("utf-8", "backslashreplace")


def column_taken(name: str) -> UsageError:
    """The error for an input that already has one of the columns to be added."""
    return UsageError(
        f"The input has a column {name!r} already. Rename the added columns with --prefix."
    )

"""What every source and every sink of posts can do."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from ...errors import CorpusError
from ..chunks import Chunk

# The type of a column. A "long" is an integer that no float holds exactly; "json" is whatever has
# no simpler type, and is written as text.
Kind = Literal["bool", "int", "long", "float", "str", "json"]
# Columns, and characters of the name of one, that an input without a header may have where the
# output has one. What a survey keeps must not grow with the input.
MAX_COLUMNS = 1_000
MAX_NAME = 1_000


@dataclass(frozen=True)
class Survey:
    """What the input holds, before anything of it is annotated.

    rows: how many, None where that is not known beforehand.
    columns: the type of each, in order, None where only the rows themselves say.
    whole: whether `columns` holds all of them.
    schema: the columns as Arrow has them, where that is what the input holds.
    """

    rows: int | None
    columns: Mapping[str, Kind] | None
    whole: bool = True
    schema: Any = field(default=None, compare=False)


class Source(ABC):
    """Rows of posts.

    path: None for standard input.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @abstractmethod
    def survey(self, asked: Collection[str] = ()) -> Survey:
        """Look through the input. Raises CorpusError where it cannot be read at all.

        asked: columns that the survey tells of however many others there are.
        """

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """The rows, in order. One that cannot be read is there with its problem."""


class Sink(ABC):
    """Writes rows with their annotations."""

    @abstractmethod
    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        """The part of the output that holds a chunk.

        annotations: for each row, by the names of `ANNOTATION`.
        """

    @abstractmethod
    def join(self, parts: Iterable[Path], output: IO[bytes]) -> None:
        """Lay parts one after the other into the output."""


def plain(value: Any) -> str:
    """What Parquet may hold and JSON does not: bytes as base64, anything else as it prints."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def escaped(text: str) -> str:
    """Text without half surrogate pairs, which no UTF-8 holds; they stand as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def column_taken(name: str) -> CorpusError:
    """The error for an input that has a column which is to be added."""
    return CorpusError(
        f"The input has a column {name!r} of its own: --prefix gives what is added other names."
    )


def copy_into(output: IO[bytes], part: Path) -> None:
    """Append the content of a part."""
    import shutil

    with part.open("rb") as file:
        shutil.copyfileobj(file, output, 1 << 20)

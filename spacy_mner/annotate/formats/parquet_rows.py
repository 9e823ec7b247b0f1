"""Parquet: columns keep the types that they have in the input."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from ...errors import CorpusError
from ..chunks import Chunk, Row, chunked
from ..task import Task
from .rows import Kind, Sink, Source, Survey, escaped

# Rows that are read at once, before it shows how large they are.
AT_ONCE = 16


class ParquetSource(Source):
    def survey(self, asked: Collection[str] = ()) -> Survey:
        with self._reading(), self._open() as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise CorpusError(f"{self.path} has two columns of one name; rename one of them.")
        return Survey(rows, dict.fromkeys(schema.names, "json"), schema=schema)

    def chunks(self) -> Iterator[Chunk]:
        pa = _arrow()
        with self._reading(), self._open() as file:
            read, missing = file.schema_arrow.empty_table(), file.metadata.num_rows

            def rows() -> Iterator[Row]:
                nonlocal read, missing
                for batch in file.iter_batches(batch_size=AT_ONCE):
                    missing -= batch.num_rows
                    table = pa.Table.from_batches([batch])
                    read = pa.concat_tables([read, table])
                    for values in _plain(table).to_pylist():
                        yield Row(values, size=_size(values))
                # Of a damaged file, Arrow may read fewer rows without a word.
                if missing:
                    raise ValueError("it holds another number of rows than it says")

            for chunk in chunked(rows()):
                yield replace(chunk, table=read.slice(0, len(chunk.rows)))
                read = read.slice(len(chunk.rows))

    def _open(self) -> Any:
        import pyarrow.parquet

        return pyarrow.parquet.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        pa = _arrow()
        try:
            yield
        # Values that Python does not have, such as text that is not UTF-8, are ValueErrors.
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise CorpusError(f"{self.path} cannot be read as Parquet ({error}).") from error


class ParquetSink(Sink):
    """The columns of the input, and those that are added as Arrow types of their own."""

    def __init__(self, task: Task, survey: Survey, suffix: str) -> None:
        pa = _arrow()
        columns = survey.columns or {}
        types = _added_types(pa)
        self.columns = list(columns)
        self.given = survey.schema or _schema(columns)
        self.added = pa.schema(
            [(name, types[name.removeprefix(task.prefix)]) for name in task.added]
        )

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        import pyarrow.parquet

        content = io.BytesIO()
        pyarrow.parquet.write_table(self._table(chunk, annotations), content)
        return content.getvalue()

    def join(self, parts: Iterable[Path], output: IO[bytes]) -> None:
        import pyarrow.parquet

        schema = _joined(self.given, self.added)
        with pyarrow.parquet.ParquetWriter(output, schema) as writer:
            for part in parts:
                writer.write_table(pyarrow.parquet.read_table(part, schema=schema))

    def _table(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> Any:
        pa = _arrow()
        table = chunk.table
        if table is None:
            columns = [
                pa.array([_fitting(row.values.get(name), f.type) for row in chunk.rows], f.type)
                for name, f in zip(self.columns, self.given, strict=True)
            ]
            table = pa.table(columns, schema=self.given)
        columns = [
            pa.array([_clean(annotation[key]) for annotation in annotations], field.type)
            for key, field in zip(annotations[0], self.added, strict=True)
        ]
        schema = _joined(self.given, self.added)
        return pa.table([*table.columns, *columns], schema=schema)


def _arrow() -> ModuleType:
    try:
        import pyarrow
    except ImportError as error:
        raise CorpusError(
            "Parquet needs pyarrow, which is not installed: pip install 'spacy-mner[parquet]'"
        ) from error
    return pyarrow


def _schema(columns: Mapping[str, Kind]) -> Any:
    pa = _arrow()
    types = {"bool": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "float": pa.float64()}
    return pa.schema(
        [(escaped(name), types.get(kind, pa.string())) for name, kind in columns.items()]
    )


def _added_types(pa: ModuleType) -> dict[str, Any]:
    offsets = [("start", pa.int64()), ("end", pa.int64())]
    words = [("label", pa.string()), ("text", pa.string())]
    attention = [
        ("weights", pa.map_(pa.string(), pa.float64())),
        ("regions", pa.map_(pa.string(), pa.list_(pa.float64()))),
    ]
    return {
        "entities": pa.list_(pa.struct([*offsets, *words, ("score", pa.float64())])),
        "attention": pa.list_(pa.struct([*offsets, *attention])),
        "image_status": pa.string(),
        "error": pa.string(),
    }


def _joined(given: Any, added: Any) -> Any:
    # What a file says of its schema (that of pandas, say) does not hold with more columns.
    return _arrow().schema([*given, *added])


def _size(value: Any) -> int:
    """Bytes that a value takes, about."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return 8
    return sum(map(_size, value))


def _plain(table: Any) -> Any:
    """The table with columns that JSON has no type for (times, decimals) as text."""
    pa = _arrow()
    for i, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type) or pa.types.is_decimal(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
    return table


def _fitting(value: Any, arrow_type: Any) -> Any:
    """A value as its column takes it: text where the column has no simpler type."""
    if value is None or arrow_type != "string":
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _clean(text)


def _clean(value: Any) -> Any:
    """A value as Arrow holds it, which has no half surrogate pairs."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {name: _clean(one) for name, one in value.items()}
    return value

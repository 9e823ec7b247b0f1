"""Parquet: the columns of the input keep their types."""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CorpusError
from ..chunks import Chunk, Row, chunked
from ..task import Task
from .rows import Kind, Sink, Source, SourceInfo, dump_json, to_utf8

# Rows per read, as their size is not known before.
READ_ROWS = 16

# The key of the metadata from which Hugging Face's datasets knows which columns are images.
HUGGING_FACE = b"huggingface"
TEXT, NUMBER, OFFSET = pa.string(), pa.float64(), pa.int64()
TYPES = {"bool": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "float": NUMBER}
ENTITY = {"start": OFFSET, "end": OFFSET, "label": TEXT, "text": TEXT, "score": NUMBER}
ATTENTION = {
    "start": OFFSET,
    "end": OFFSET,
    "weights": pa.map_(TEXT, NUMBER),
    "regions": pa.map_(TEXT, pa.list_(NUMBER)),
}
ADDED = {
    "entities": pa.list_(pa.struct(ENTITY)),
    "attention": pa.list_(pa.struct(ATTENTION)),
    "image_status": TEXT,
    "error": TEXT,
}


class ParquetSource(Source):
    def inspect(self, required: Collection[str] = ()) -> SourceInfo:
        with self._open() as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise CorpusError(f"{self.path} has two columns of the same name. Rename one of them.")
        return SourceInfo(n_rows, dict.fromkeys(schema.names, "json"), schema=schema)

    def chunks(self) -> Iterator[Chunk]:
        with self._open() as file:
            tables = [file.schema_arrow.empty_table()]
            for chunk in chunked(_rows(file, tables)):
                table, n = pa.concat_tables(tables), len(chunk.rows)
                tables[:] = [table.slice(n)]
                yield replace(chunk, table=table.slice(0, n))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            with pq.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file:
                yield file
        # Values that Python cannot represent, such as text that is not UTF-8, are ValueErrors.
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise CorpusError(
                f"{self.path} cannot be read as Parquet ({error}). Write it again."
            ) from error


class ParquetSink(Sink):
    """The columns of the input, and the added ones as nested Arrow types."""

    def __init__(self, task: Task, info: SourceInfo) -> None:
        columns: Mapping[str, Kind] = info.columns or {}
        added = [(name, ADDED[name.removeprefix(task.prefix)]) for name in task.added_columns]
        self.columns = list(columns)
        self.input_schema = info.schema or pa.schema(
            [(_escaped(name), TYPES.get(kind, TEXT)) for name, kind in columns.items()]
        )
        # Other metadata lists the columns of the input, such as that of pandas.
        kept = (self.input_schema.metadata or {}).get(HUGGING_FACE)
        metadata = {HUGGING_FACE: kept} if kept else None
        self.schema = pa.schema([*self.input_schema, *pa.schema(added)], metadata)

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        content = io.BytesIO()
        pq.write_table(self._table(chunk, annotations), content)
        return content.getvalue()

    def concatenate(self, chunks: Iterable[Path], output: IO[bytes]) -> None:
        with pq.ParquetWriter(output, self.schema) as writer:
            for chunk in chunks:
                writer.write_table(pq.read_table(chunk, schema=self.schema))

    def _table(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> Any:
        if chunk.table is not None:
            columns = chunk.table.columns
        else:
            columns = [
                pa.array([_as_type(row.values.get(name), kind) for row in chunk.rows], kind)
                for name, kind in zip(self.columns, self.input_schema.types, strict=True)
            ]
        added = [
            pa.array([_escaped(annotation[name]) for annotation in annotations], ADDED[name])
            for name in annotations[0]
        ]
        return pa.table([*columns, *added], schema=self.schema)


def _rows(file: Any, tables: list[Any]) -> Iterator[Row]:
    """The rows of a Parquet file; appends the tables that they are from."""
    missing = file.metadata.num_rows
    for batch in file.iter_batches(batch_size=READ_ROWS):
        missing -= batch.num_rows
        tables.append(pa.Table.from_batches([batch]))
        for values in _json_types(tables[-1]).to_pylist():
            yield Row(values, size=len(pickle.dumps(values)))
    # Arrow may read fewer rows of a damaged file without an error.
    if missing:
        raise ValueError("the number of rows differs from the metadata")


def _json_types(table: Any) -> Any:
    """The table with times and decimals, which JSON does not have, as text."""
    for i, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type) or pa.types.is_decimal(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(TEXT))
    return table


def _as_type(value: Any, arrow_type: Any) -> Any:
    """A value as the type of its column requires: JSON in a text column."""
    if value is None or arrow_type != TEXT:
        return value
    return _escaped(value if isinstance(value, str) else dump_json(value))


def _escaped(value: Any) -> Any:
    """A value with lone surrogates, which Arrow cannot represent, as escapes."""
    if isinstance(value, str):
        return to_utf8(value).decode()
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        return {name: _escaped(item) for name, item in value.items()}
    return value

"""Parquet: the columns of the input keep their types."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from ...errors import CorpusError, UsageError
from ..chunks import Chunk, Row, chunked
from ..task import Task
from .rows import Kind, Sink, Source, SourceInfo, escaped

# Rows per read, as their size is not known before.
READ_ROWS = 16


class ParquetSource(Source):
    def inspect(self, required: Collection[str] = ()) -> SourceInfo:
        with self._reading(), self._open() as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
        if len(set(schema.names)) < len(schema.names):
            raise CorpusError(f"{self.path} has two columns of the same name. Rename one of them.")
        return SourceInfo(n_rows, dict.fromkeys(schema.names, "json"), schema=schema)

    def chunks(self) -> Iterator[Chunk]:
        pa = _arrow()
        with self._reading(), self._open() as file:
            read, missing = file.schema_arrow.empty_table(), file.metadata.num_rows

            def rows() -> Iterator[Row]:
                nonlocal read, missing
                for batch in file.iter_batches(batch_size=READ_ROWS):
                    missing -= batch.num_rows
                    table = pa.Table.from_batches([batch])
                    read = pa.concat_tables([read, table])
                    for values in _json_types(table).to_pylist():
                        yield Row(values, size=_size(values))
                # Arrow may read fewer rows of a damaged file without an error.
                if missing:
                    raise ValueError("the number of rows differs from the metadata")

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
        # Values that Python cannot represent, such as text that is not UTF-8, are ValueErrors.
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise CorpusError(f"{self.path} cannot be read as Parquet ({error}).") from error


class ParquetSink(Sink):
    """The columns of the input, and the added ones as nested Arrow types."""

    def __init__(self, task: Task, info: SourceInfo, suffix: str) -> None:
        pa = _arrow()
        columns = info.columns or {}
        types = _added_types(pa)
        self.columns = list(columns)
        self.input_schema = info.schema or _schema(columns)
        self.added = pa.schema(
            [(name, types[name.removeprefix(task.prefix)]) for name in task.added_columns]
        )

    def encode(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> bytes:
        import pyarrow.parquet

        content = io.BytesIO()
        pyarrow.parquet.write_table(self._table(chunk, annotations), content)
        return content.getvalue()

    def concatenate(self, parts: Iterable[Path], output: IO[bytes]) -> None:
        import pyarrow.parquet

        schema = _output_schema(self.input_schema, self.added)
        with pyarrow.parquet.ParquetWriter(output, schema) as writer:
            for part in parts:
                writer.write_table(pyarrow.parquet.read_table(part, schema=schema))

    def _table(self, chunk: Chunk, annotations: list[dict[str, Any]]) -> Any:
        pa = _arrow()
        table = chunk.table
        if table is None:
            table = pa.table(
                [
                    pa.array([_as_type(row.values.get(name), kind) for row in chunk.rows], kind)
                    for name, kind in zip(self.columns, self.input_schema.types, strict=True)
                ],
                schema=self.input_schema,
            )
        added = [
            pa.array([_without_surrogates(annotation[key]) for annotation in annotations], kind)
            for key, kind in zip(annotations[0], self.added.types, strict=True)
        ]
        schema = _output_schema(self.input_schema, self.added)
        return pa.table([*table.columns, *added], schema=schema)


def _arrow() -> ModuleType:
    try:
        import pyarrow
    except ImportError as error:
        raise UsageError(
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


def _output_schema(input_schema: Any, added: Any) -> Any:
    # Without the metadata of the input, such as that of pandas, which lists its columns.
    return _arrow().schema([*input_schema, *added])


def _size(value: Any) -> int:
    """The approximate size of a value in bytes."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return 8
    return sum(map(_size, value))


def _json_types(table: Any) -> Any:
    """The table with times and decimals, which JSON does not have, as text."""
    pa = _arrow()
    for i, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type) or pa.types.is_decimal(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
    return table


def _as_type(value: Any, arrow_type: Any) -> Any:
    """A value as the type of its column requires: JSON in a text column."""
    if value is None or arrow_type != "string":
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _without_surrogates(text)


def _without_surrogates(value: Any) -> Any:
    """A value with lone surrogates, which Arrow cannot represent, as escapes."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_surrogates(item) for name, item in value.items()}
    return value

"""Small valid inputs of bulk annotation, in every format."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# Rows of a chunk: few, so that small files have several chunks.
SIZE = 8
# A row as (column, value as JSON); columns may be repeated.
Pairs = list[tuple[str, str]]

POSTS: list[dict[str, Any]] = [
    {
        "id": 1,
        "text": "Duke Dumont 🎸",
        "image": "a.png",
        "image_text": "a man plays the guitar",
        "image_features": [[0.5, -1.0], [1.5, 2.0]],
        "image_objects": [{"label": "man", "score": 0.5, "box": [0, 0, 0.5, 1]}, "guitar"],
        "score": 0.5,
        "ok": True,
        "deep": {"a": [{"b": 1.5}, None], "c": "d"},
    },
    {
        "id": "2",
        "text": 'said "go, Eagles"\nand\twent',
        "image": ["a.png", "gone.png"],
        "image_features": [0.5, 1],
        "score": None,
        "ok": False,
    },
    {"id": 3.5, "text": "", "image": None, "score": -1.25, "ok": None, "deep": []},
    {"id": None, "text": "Duke Dumont", "image": "../a.png", "image_objects": ["man"]},
    {"id": 2**60, "text": None, "image": "data:image/png;base64,iVBORw0KGgo="},
    {"id": ["x"], "text": "猫 Duke Dumont", "image": "http://[::1]/a.png"},
]
# Too deep for the json module.
DEEP = re.compile(r'(?:\[|\{"a":){200}')


def row_seeds() -> dict[str, list[bytes]]:
    """Inputs by the suffix of their files."""
    written = {suffix: [write(pairs_of(POSTS))] for suffix, write in WRITERS.items()}
    written[".jsonl"].append(write_lines(pairs_of(POSTS) * 3))
    written[".parquet"].append(_parquet(_all_types()))
    return written


def pairs_of(rows: list[dict[str, Any]]) -> list[Pairs]:
    """Convert rows."""
    return [
        [(name, json.dumps(value, ensure_ascii=False)) for name, value in row.items()]
        for row in rows
    ]


def write_lines(rows: list[Pairs]) -> bytes:
    """Rows as JSONL."""
    lines = (", ".join(f"{json.dumps(name)}: {value}" for name, value in pairs) for pairs in rows)
    return "".join(f"{{{line}}}\n" for line in lines).encode("utf-8", "surrogatepass")


def write_cells(rows: list[Pairs], delimiter: str) -> bytes:
    """Rows as CSV; a repeated column becomes an additional cell."""
    header = _names(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(header)
    for pairs in rows:
        cells = {name: _cell(value) for name, value in pairs}
        writer.writerow([cells.get(name, "") for name in header] + [""] * (len(pairs) - len(cells)))
    return text.getvalue().encode("utf-8", "surrogatepass")


def write_columns(rows: list[Pairs]) -> bytes:
    """Rows as Parquet with inferred types, columns of mixed types as text."""
    found = [dict(pairs) for pairs in rows]
    arrays = [_array([row.get(name, "null") for row in found]) for name in _names(rows)]
    return _parquet(pa.table(arrays, [_valid(name) for name in _names(rows)]))


WRITERS: dict[str, Callable[[list[Pairs]], bytes]] = {
    ".jsonl": write_lines,
    ".csv": lambda rows: write_cells(rows, ","),
    ".tsv": lambda rows: write_cells(rows, "\t"),
    ".parquet": write_columns,
}


def _names(rows: list[Pairs]) -> list[str]:
    return list(dict.fromkeys(name for pairs in rows for name, _ in pairs))


def _value(text: str) -> Any:
    """Parse JSON, or return the text if it is invalid."""
    if DEEP.search(text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _cell(text: str) -> str:
    value = _value(text)
    return value if isinstance(value, str) else "" if value is None else text


def _array(texts: list[str]) -> pa.Array:
    values = list(map(_value, texts))
    try:
        array = pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        array = None
    # Parquet has no structs without fields.
    if array is None or "struct<>" in str(array.type):
        cells = map(_cell, texts)
        array = pa.array(
            [
                None if value is None else _valid(cell)
                for value, cell in zip(values, cells, strict=True)
            ]
        )
    return array


def _valid(text: str) -> str:
    """Replace unpaired surrogates, which Arrow does not support."""
    return text.encode("utf-8", "replace").decode()


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    # Most mutations of compressed data would fail in decompression.
    pq.write_table(table, buffer, compression="none")
    return buffer.getvalue()


def _all_types() -> pa.Table:
    moment = datetime.datetime(2020, 1, 1, 12, 30)
    columns: dict[str, tuple[list[Any], pa.DataType]] = {
        "text": (["Duke Dumont 🎸", None], pa.large_string()),
        "image": (["a.png", "b.png"], pa.dictionary(pa.int32(), pa.string())),
        "bytes": ([b"\xff\0", b""], pa.binary()),
        "when": ([moment, None], pa.timestamp("us", "UTC")),
        "day": ([moment.date(), None], pa.date32()),
        "price": ([Decimal("1.25"), None], pa.decimal128(5, 2)),
        "list": ([[1, None], []], pa.list_(pa.int8())),
        "deep": (
            [{"a": [{"b": 1.5}]}, None],
            pa.struct([("a", pa.list_(pa.struct([("b", pa.float32())])))]),
        ),
        "map": ([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
        "big": ([2**64 - 1, 0], pa.uint64()),
        "nothing": ([None, None], pa.null()),
        "lasts": ([datetime.timedelta(1), None], pa.duration("ms")),
        "at": ([moment.time(), None], pa.time64("ns")),
        "four": ([b"abcd", None], pa.binary(4)),
        "pair": ([[1, 2], None], pa.list_(pa.int16(), 2)),
        "dates": ([[moment.date()], None], pa.list_(pa.date32())),
        "half": ([0.5, None], pa.float16()),
    }
    return pa.table({name: pa.array(*column) for name, column in columns.items()})

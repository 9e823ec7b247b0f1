"""Mutations of rows in valid files: hostile values, column names and numbers of columns.

A mutation takes rows and a random generator, and returns rows. It is deterministic.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from spacy_mner.annotate.annotator import MAX_REGIONS
from spacy_mner.annotate.chunks import MAX_DEPTH
from spacy_mner.annotate.formats.csv_rows import MAX_CELL
from spacy_mner.annotate.formats.rows import MAX_COLUMNS, MAX_NAME
from spacy_mner.annotate.image_opener import MAX_IMAGES

from .mutations import MAX_BYTES, PIECES, VALUES
from .row_seeds import SIZE, Pairs

RowMutation = Callable[[list[Pairs], Random], list[Pairs]]

DEPTHS = (20, MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, 300, 990, 3000)
INTEGERS = (2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400, 10**4299)
TEXTS = (
    *("\ud83d", "\udc80", "a\0b", "\u2028\x85\r\n", "\r", '"', "\\", "=1+1", " ", "Infinity"),
    *("猫" * 30_000, "Duke Dumont " * 20_000, "a" * (MAX_CELL - 1), "a" * MAX_CELL),
    *("[" * 5000, "[1]", "[[0.5, 1], [2]]", "[NaN]", '["a.png"]', '[{"label": 1}]', "null"),
    *("/dev/zero", "a.png\0", "../a.png", "data:;base64,A", "file:///etc/passwd", "."),
)
# As JSON, some of them invalid.
HOSTILE = (
    *(value.decode() for value in VALUES),
    *map(json.dumps, TEXTS),
    *(json.dumps(piece.decode(errors="replace")) for piece in PIECES),
    *map(str, INTEGERS),
    *("-0.0", "5e-324", "1e308", "[1e39, NaN]", "-Infinity", "[[], [[]]]", "[null]", "[{}]"),
    *(opened * d + "1" + closed * d for d in DEPTHS for opened, closed in ("[]", ('{"a":', "}"))),
    *('{"a": 1, "a": 2}', '{"": null}', '{"\\ud800": "\\udfff"}', '[null, [1, "a", {}], true]'),
    *('[{"label": 5, "score": "x", "box": [1]}]', '[{"label": "man", "score": NaN, "box": 1}]'),
    json.dumps(["a.png"] * (MAX_IMAGES + 1)),
    json.dumps([[0.5]] * (MAX_REGIONS + 1)),
)
NAMES = (
    *("", " ", "text", "text ", "Text", "image", "entities", "error", "mner_error", "\0", "\n"),
    *("\ud800", "\\ud800", "\udfff", "a,b", 'a"b', "a\tb", "a.b", "\ufefftext", "e\u0301", "é"),
    *("a" * MAX_NAME, "a" * (MAX_NAME + 1), "__index_level_0__", "猫" * MAX_NAME),
)


def replace_value(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Replace a value by a hostile one."""
    row, column = _cell(rows, rng)
    rows[row][column] = rows[row][column][0], rng.choice(HOSTILE)
    return rows


def replace_column(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Replace a column by one, two or five hostile values."""
    name = _name(rows, rng)
    values = rng.sample(HOSTILE, rng.choice((1, 2, 5)))
    # Long values would exceed the maximum size of a file.
    short = [value for value in values if len(value) * len(rows) < MAX_BYTES] or ["null"]
    return [
        [(column, rng.choice(short) if column == name else value) for column, value in pairs]
        for pairs in rows
    ]


def rename_column(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Rename a column to a hostile name, in all rows or in some."""
    old, new = _name(rows, rng), rng.choice(NAMES)
    rate = rng.choice((1.0, 0.5))
    return [
        [
            (new if column == old and rng.random() < rate else column, value)
            for column, value in pairs
        ]
        for pairs in rows
    ]


def add_columns(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Add columns up to the limit, or beyond."""
    n = rng.choice((1, MAX_COLUMNS - len(rows[0]), MAX_COLUMNS, 3 * MAX_COLUMNS))
    value, row = rng.choice(("null", "1", '"a"', "[]")), rng.randrange(len(rows))
    rows[row] = rows[row] + [(f"c{i}", value) for i in range(n)]
    return rows


def add_named(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Add columns with hostile names to one row or to all."""
    names = rng.sample(NAMES, rng.choice((1, 2, 3)))
    chosen = rows if rng.random() < 0.5 else [rng.choice(rows)]
    for pairs in chosen:
        pairs += [(name, rng.choice(("1", '"x"', "null"))) for name in names]
    return rows


def repeat_key(rows: list[Pairs], rng: Random) -> list[Pairs]:
    row, column = _cell(rows, rng)
    rows[row].append((rows[row][column][0], rng.choice(HOSTILE)))
    return rows


def remove_keys(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Remove a column from some rows, or all columns from one."""
    if rng.random() < 0.3:
        rows[rng.randrange(len(rows))] = []
        return rows
    name = _name(rows, rng)
    return [[pair for pair in pairs if pair[0] != name or rng.random() < 0.5] for pairs in rows]


def swap_columns(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Shuffle the values of a row, or its column names."""
    pairs = rows[rng.randrange(len(rows))]
    names, values = [name for name, _ in pairs], [value for _, value in pairs]
    rng.shuffle(rng.choice((names, values)))
    pairs[:] = zip(names, values, strict=True)
    return rows


def repeat_rows(rows: list[Pairs], rng: Random) -> list[Pairs]:
    """Repeat rows up to the size of one or two chunks, one more or one less."""
    n = rng.choice((SIZE - 1, SIZE, SIZE + 1, 2 * SIZE + 1))
    size = sum(len(value) for pairs in rows for _, value in pairs) // len(rows)
    return [list(rows[i % len(rows)]) for i in range(min(n, MAX_BYTES // (size + 1) + 1))]


ROWS: tuple[RowMutation, ...] = (
    *[replace_value] * 6,
    *[replace_column] * 3,
    *(rename_column, add_columns, add_named, repeat_key, remove_keys, swap_columns, repeat_rows),
)


def mutate_rows(rows: list[Pairs], rng: Random) -> tuple[list[Pairs], list[str]]:
    """Apply one to four mutations and number the rows; returns also the mutations' names."""
    rows, names = [list(pairs) for pairs in rows], []
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        mutation = rng.choice(ROWS)
        rows = mutation(rows, rng)
        names.append(mutation.__name__)
    return [[*pairs, ("n", str(number))] for number, pairs in enumerate(rows)], names


def _cell(rows: list[Pairs], rng: Random) -> tuple[int, int]:
    cells = [(i, j) for i, pairs in enumerate(rows) for j in range(len(pairs))]
    return rng.choice(cells)


def _name(rows: list[Pairs], rng: Random) -> str:
    row, column = _cell(rows, rng)
    return rows[row][column][0]

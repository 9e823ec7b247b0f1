"""Ways to damage rows that leave a file sound: hostile values, names and shapes of columns.

Each takes rows and a source of chance, and gives other rows; the same arguments give the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from spacy_mner.annotate.annotator import MOST_REGIONS
from spacy_mner.annotate.chunks import MAX_DEPTH
from spacy_mner.annotate.formats.csv_rows import MAX_CELL
from spacy_mner.annotate.formats.rows import MAX_COLUMNS, MAX_NAME
from spacy_mner.annotate.image_opener import MOST_IMAGES

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
# Each as JSON, as far as it is JSON.
HOSTILE = (
    *(value.decode() for value in VALUES),
    *map(json.dumps, TEXTS),
    *(json.dumps(piece.decode(errors="replace")) for piece in PIECES),
    *map(str, INTEGERS),
    *("-0.0", "5e-324", "1e308", "[1e39, NaN]", "-Infinity", "[[], [[]]]", "[null]", "[{}]"),
    *(opened * d + "1" + closed * d for d in DEPTHS for opened, closed in ("[]", ('{"a":', "}"))),
    *('{"a": 1, "a": 2}', '{"": null}', '{"\\ud800": "\\udfff"}', '[null, [1, "a", {}], true]'),
    *('[{"label": 5, "score": "x", "box": [1]}]', '[{"label": "man", "score": NaN, "box": 1}]'),
    json.dumps(["a.png"] * (MOST_IMAGES + 1)),
    json.dumps([[0.5]] * (MOST_REGIONS + 1)),
)
NAMES = (
    *("", " ", "text", "text ", "Text", "image", "entities", "error", "mner_error", "\0", "\n"),
    *("\ud800", "\\ud800", "\udfff", "a,b", 'a"b', "a\tb", "a.b", "\ufefftext", "e\u0301", "é"),
    *("a" * MAX_NAME, "a" * (MAX_NAME + 1), "__index_level_0__", "猫" * MAX_NAME),
)


def replace_value(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """Put a hostile value in the place of one."""
    row, column = _place(rows, chance)
    rows[row][column] = rows[row][column][0], chance.choice(HOSTILE)
    return rows


def replace_column(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """Give all rows values of one, two or many kinds in a column."""
    name = _name(rows, chance)
    values = chance.sample(HOSTILE, chance.choice((1, 2, 5)))
    # Only so much of long ones that the file does not grow out of all bounds.
    fitting = [value for value in values if len(value) * len(rows) < MAX_BYTES] or ["null"]
    return [
        [(column, chance.choice(fitting) if column == name else value) for column, value in pairs]
        for pairs in rows
    ]


def rename_column(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """Call a column by a hostile name, in all rows or in one."""
    old, new = _name(rows, chance), chance.choice(NAMES)
    rate = chance.choice((1.0, 0.5))
    return [
        [
            (new if column == old and chance.random() < rate else column, value)
            for column, value in pairs
        ]
        for pairs in rows
    ]


def add_columns(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """Add as many columns as a survey keeps, a few more or less, or thousands."""
    n = chance.choice((1, MAX_COLUMNS - len(rows[0]), MAX_COLUMNS, 3 * MAX_COLUMNS))
    value, row = chance.choice(("null", "1", '"a"', "[]")), chance.randrange(len(rows))
    rows[row] = rows[row] + [(f"c{i}", value) for i in range(n)]
    return rows


def add_named(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """Add columns of hostile names, some of them alike, to one row or to all."""
    names = chance.sample(NAMES, chance.choice((1, 2, 3)))
    chosen = rows if chance.random() < 0.5 else [chance.choice(rows)]
    for pairs in chosen:
        pairs += [(name, chance.choice(("1", '"x"', "null"))) for name in names]
    return rows


def repeat_key(rows: list[Pairs], chance: Random) -> list[Pairs]:
    row, column = _place(rows, chance)
    rows[row].append((rows[row][column][0], chance.choice(HOSTILE)))
    return rows


def lose_keys(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """Take a column from some rows, or all of them from one."""
    if chance.random() < 0.3:
        rows[chance.randrange(len(rows))] = []
        return rows
    name = _name(rows, chance)
    return [[pair for pair in pairs if pair[0] != name or chance.random() < 0.5] for pairs in rows]


def swap_columns(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """Exchange the values of two columns of a row, or the order of its columns."""
    pairs = rows[chance.randrange(len(rows))]
    names, values = [name for name, _ in pairs], [value for _, value in pairs]
    chance.shuffle(chance.choice((names, values)))
    pairs[:] = zip(names, values, strict=True)
    return rows


def repeat_rows(rows: list[Pairs], chance: Random) -> list[Pairs]:
    """More rows than a chunk has, or as many."""
    n = chance.choice((SIZE - 1, SIZE, SIZE + 1, 2 * SIZE + 1))
    size = sum(len(value) for pairs in rows for _, value in pairs) // len(rows)
    return [list(rows[i % len(rows)]) for i in range(min(n, MAX_BYTES // (size + 1) + 1))]


ROWS: tuple[RowMutation, ...] = (
    *[replace_value] * 6,
    *[replace_column] * 3,
    *(rename_column, add_columns, add_named, repeat_key, lose_keys, swap_columns, repeat_rows),
)


def damage_rows(rows: list[Pairs], chance: Random) -> tuple[list[Pairs], list[str]]:
    """Damage rows one to four times, and number them; gives also the names of the ways."""
    rows, names = [list(pairs) for pairs in rows], []
    for _ in range(chance.choice((1, 1, 2, 3, 4))):
        mutation = chance.choice(ROWS)
        rows = mutation(rows, chance)
        names.append(mutation.__name__)
    return [[*pairs, ("n", str(number))] for number, pairs in enumerate(rows)], names


def _place(rows: list[Pairs], chance: Random) -> tuple[int, int]:
    places = [(i, j) for i, pairs in enumerate(rows) for j in range(len(pairs))]
    return chance.choice(places)


def _name(rows: list[Pairs], chance: Random) -> str:
    row, column = _place(rows, chance)
    return rows[row][column][0]

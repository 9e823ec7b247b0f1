"""Ways to damage a file: of bytes anywhere, and of what a text is made of.

Each takes the content of a file, that of another file and a source of chance, and gives the
content of a damaged one. The same arguments give the same result on every machine.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from random import Random

Mutation = Callable[[bytes, bytes, Random], bytes]

# Formats of which no text can be damaged as text.
PACKED = (".spacy", ".npz", ".parquet")
# A damaged file is no longer than this, however often its blocks were repeated.
MAX_BYTES = 1 << 20

# What a number or a string is replaced with, in JSON or wherever else it stands.
VALUES = (
    *(b"null", b"true", b"-1", b"0", b"1.5", b"1e999", b"NaN", b"Infinity", b"2147483648"),
    *(b"-9223372036854775809", b"9" * 5000, b"[]", b"{}", b'""', b"[[1, 2], [3]]", b"[1e39]"),
    *(b'"\\ud800"', b'"\\u0000"', b'["a", 1]', b'{"start": 0}', b"[" * 5000, b'{"a":' * 5000),
)
# What is put between two bytes of a text.
PIECES = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b"\t", b"\t\t", b",", b";"),
    *(b'"', b'"""', b"\\", b" ", b" " * 300, b"B-", b"I-PER", b"O", b"B-PER", b"IMGID:", b"WID:"),
    *(text.encode() for text in ("\x85", "\u2028", "\u202e", "\xa0", "\u200d", "e\u0301", "🎸")),
    *(b"../../etc/passwd", b"/dev/zero", b"C:\\x.jpg", b"http://[::1]/", b"data:;base64,A", b"."),
    *(b"a" * 70_000, "猫".encode() * 20_000, b"a b " * 5000),
)
SCALAR = re.compile(rb'-?\d+(?:\.\d+)?|"(?:[^"\\\n]|\\.)*"|true|false|null')
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip_bits(content: bytes, other: bytes, chance: Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16)) if content else 0):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def overwrite(content: bytes, other: bytes, chance: Random) -> bytes:
    start, end = _stretch(content, chance)
    run = chance.choice((bytes(end - start), b"\xff" * (end - start), None))
    return content[:start] + (run or chance.randbytes(end - start)) + content[end:]


def truncate(content: bytes, other: bytes, chance: Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def insert_block(content: bytes, other: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + chance.randbytes(chance.randrange(1, 64)) + content[place:]


def repeat_block(content: bytes, other: bytes, chance: Random) -> bytes:
    start, end = _stretch(content, chance)
    times = chance.choice((2, 2, 3, 30, 200))
    return (content[:start] + content[start:end] * times + content[end:])[:MAX_BYTES]


def remove_block(content: bytes, other: bytes, chance: Random) -> bytes:
    start, end = _stretch(content, chance)
    return content[:start] + content[end:]


def swap_header(content: bytes, other: bytes, chance: Random) -> bytes:
    length = chance.choice((2, 4, 8, 16, 32, 64, 128))
    return other[:length] + content[length:]


def extreme_length(content: bytes, other: bytes, chance: Random) -> bytes:
    """Write a number that is very small or very large where perhaps a length stands."""
    order, kind = chance.choice("<>"), chance.choice("HIIQ")
    size = struct.calcsize(kind)
    number = chance.choice([n for n in EXTREMES if n < 1 << 8 * size])
    # Lengths stand in the first bytes more often than anywhere else.
    end = len(content) if chance.random() < 0.5 else min(len(content), 64)
    place = chance.randrange(max(1, end - size + 1))
    return content[:place] + struct.pack(order + kind, number) + content[place + size :]


def enlarge(content: bytes, other: bytes, chance: Random) -> bytes:
    """Make two small numbers of a header large: with luck, the width and the height."""
    kind = chance.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(kind)
    places = [
        place
        for place in range(min(len(content), 96) - size + 1)
        if 0 < struct.unpack_from(kind, content, place)[0] <= 32
    ]
    enlarged = bytearray(content)
    for place in chance.sample(places, min(2, len(places))):
        struct.pack_into(kind, enlarged, place, chance.choice((1000, 5000, 6000, 9000, 60_000)))
    return bytes(enlarged)


def join(content: bytes, other: bytes, chance: Random) -> bytes:
    return content + other


def splice(content: bytes, other: bytes, chance: Random) -> bytes:
    """The beginning of one file and the end of another."""
    return truncate(content, other, chance) + other[chance.randrange(len(other) + 1) :]


def replace_value(content: bytes, other: bytes, chance: Random) -> bytes:
    found = list(SCALAR.finditer(content))
    if not found:
        return insert_piece(content, other, chance)
    place = chance.choice(found)
    theirs = SCALAR.findall(other)
    value = chance.choice(theirs if theirs and chance.random() < 0.3 else VALUES)
    return content[: place.start()] + value + content[place.end() :]


def insert_piece(content: bytes, other: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + chance.choice(PIECES) + content[place:]


def shuffle_lines(content: bytes, other: bytes, chance: Random) -> bytes:
    """Lose, repeat, exchange or join lines, or take one of another file."""
    lines = content.splitlines(keepends=True) or [b""]
    here, there = chance.randrange(len(lines)), chance.randrange(len(lines))
    what = chance.randrange(5)
    if what == 0:
        del lines[here]
    elif what == 1:
        lines[here] *= chance.choice((2, 3, 100))
    elif what == 2:
        lines[here], lines[there] = lines[there], lines[here]
    elif what == 3:
        lines[here] = lines[here].rstrip(b"\r\n")
    else:
        lines.insert(here, chance.choice(other.splitlines(keepends=True) or [b"\n"]))
    return b"".join(lines)[:MAX_BYTES]


def replace_cell(content: bytes, other: bytes, chance: Random) -> bytes:
    """Replace one of the words between white space, tabs and commas."""
    cells = re.split(rb"([\t\n, ]+)", content)
    cells[2 * chance.randrange((len(cells) + 1) // 2)] = chance.choice(VALUES + PIECES)
    return b"".join(cells)


BINARY: tuple[Mutation, ...] = (
    flip_bits,
    overwrite,
    truncate,
    insert_block,
    repeat_block,
    remove_block,
    swap_header,
    extreme_length,
    enlarge,
    enlarge,
    join,
    splice,
)
TEXTUAL: tuple[Mutation, ...] = (
    replace_value,
    replace_value,
    insert_piece,
    shuffle_lines,
    replace_cell,
)
# What leaves a JSON mostly one, and bytes where they were: damage that shows late.
STRUCTURED: tuple[Mutation, ...] = (*[replace_value] * 5, *TEXTUAL)
IN_PLACE: tuple[Mutation, ...] = (flip_bits, overwrite, extreme_length, enlarge)


def fitting(suffix: str, chance: Random) -> tuple[Mutation, ...]:
    """Ways to damage a file of a format."""
    if suffix in PACKED:
        return chance.choice((BINARY, IN_PLACE))
    if chance.random() < 0.3:
        return BINARY
    return STRUCTURED if suffix in (".json", ".jsonl") else TEXTUAL


def damage(
    content: bytes, other: bytes, chance: Random, mutations: tuple[Mutation, ...]
) -> tuple[bytes, list[str]]:
    """Damage a file one to three times; gives also the names of the ways."""
    names = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        mutation = chance.choice(mutations)
        content = mutation(content, other, chance)[:MAX_BYTES]
        names.append(mutation.__name__)
    return content, names


def _stretch(content: bytes, chance: Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice((1, 4, 16, 64, 256)))

"""Mutations of files: of bytes, and of the elements of text formats.

A mutation takes the content of a file, that of another file and a random generator, and returns
the mutated content. It is deterministic.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from random import Random

Mutation = Callable[[bytes, bytes, Random], bytes]

# Binary formats.
PACKED = (".spacy", ".npz", ".parquet")
# Maximum length of a mutated file.
MAX_BYTES = 1 << 20

# Replacements of numbers and strings.
VALUES = (
    *(b"null", b"true", b"-1", b"0", b"1.5", b"1e999", b"NaN", b"Infinity", b"2147483648"),
    *(b"-9223372036854775809", b"9" * 5000, b"[]", b"{}", b'""', b"[[1, 2], [3]]", b"[1e39]"),
    *(b'"\\ud800"', b'"\\u0000"', b'["a", 1]', b'{"start": 0}', b"[" * 5000, b'{"a":' * 5000),
)
# Inserted into text.
PIECES = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b"\t", b"\t\t", b",", b";"),
    *(b'"', b'"""', b"\\", b" ", b" " * 300, b"B-", b"I-PER", b"O", b"B-PER", b"IMGID:", b"WID:"),
    *(text.encode() for text in ("\x85", "\u2028", "\u202e", "\xa0", "\u200d", "e\u0301", "🎸")),
    *(b"../../etc/passwd", b"/dev/zero", b"C:\\x.jpg", b"http://[::1]/", b"data:;base64,A", b"."),
    *(b"a" * 70_000, "猫".encode() * 20_000, b"a b " * 5000),
)
SCALAR = re.compile(rb'-?\d+(?:\.\d+)?|"(?:[^"\\\n]|\\.)*"|true|false|null')
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip_bits(content: bytes, other: bytes, rng: Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if content else 0):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def overwrite(content: bytes, other: bytes, rng: Random) -> bytes:
    start, end = _stretch(content, rng)
    run = rng.choice((bytes(end - start), b"\xff" * (end - start), None))
    return content[:start] + (run or rng.randbytes(end - start)) + content[end:]


def truncate(content: bytes, other: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def insert_block(content: bytes, other: bytes, rng: Random) -> bytes:
    position = rng.randrange(len(content) + 1)
    return content[:position] + rng.randbytes(rng.randrange(1, 64)) + content[position:]


def repeat_block(content: bytes, other: bytes, rng: Random) -> bytes:
    start, end = _stretch(content, rng)
    times = rng.choice((2, 2, 3, 30, 200))
    return (content[:start] + content[start:end] * times + content[end:])[:MAX_BYTES]


def remove_block(content: bytes, other: bytes, rng: Random) -> bytes:
    start, end = _stretch(content, rng)
    return content[:start] + content[end:]


def swap_header(content: bytes, other: bytes, rng: Random) -> bytes:
    length = rng.choice((2, 4, 8, 16, 32, 64, 128))
    return other[:length] + content[length:]


def extreme_length(content: bytes, other: bytes, rng: Random) -> bytes:
    """Overwrite a possible length with a very small or very large number."""
    order, kind = rng.choice("<>"), rng.choice("HIIQ")
    size = struct.calcsize(kind)
    number = rng.choice([n for n in EXTREMES if n < 1 << 8 * size])
    # Most lengths are in the header.
    end = len(content) if rng.random() < 0.5 else min(len(content), 64)
    position = rng.randrange(max(1, end - size + 1))
    return content[:position] + struct.pack(order + kind, number) + content[position + size :]


def enlarge(content: bytes, other: bytes, rng: Random) -> bytes:
    """Enlarge two small numbers of the header, possibly width and height."""
    kind = rng.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(kind)
    positions = [
        position
        for position in range(min(len(content), 96) - size + 1)
        if 0 < struct.unpack_from(kind, content, position)[0] <= 32
    ]
    enlarged = bytearray(content)
    for position in rng.sample(positions, min(2, len(positions))):
        struct.pack_into(kind, enlarged, position, rng.choice((1000, 5000, 6000, 9000, 60_000)))
    return bytes(enlarged)


def join(content: bytes, other: bytes, rng: Random) -> bytes:
    return content + other


def splice(content: bytes, other: bytes, rng: Random) -> bytes:
    """Concatenate the beginning of one file and the end of another."""
    return truncate(content, other, rng) + other[rng.randrange(len(other) + 1) :]


def replace_value(content: bytes, other: bytes, rng: Random) -> bytes:
    found = list(SCALAR.finditer(content))
    if not found:
        return insert_piece(content, other, rng)
    position = rng.choice(found)
    other_values = SCALAR.findall(other)
    value = rng.choice(other_values if other_values and rng.random() < 0.3 else VALUES)
    return content[: position.start()] + value + content[position.end() :]


def insert_piece(content: bytes, other: bytes, rng: Random) -> bytes:
    position = rng.randrange(len(content) + 1)
    return content[:position] + rng.choice(PIECES) + content[position:]


def shuffle_lines(content: bytes, other: bytes, rng: Random) -> bytes:
    """Delete, repeat, swap or join lines, or insert one of the other file."""
    lines = content.splitlines(keepends=True) or [b""]
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(5)
    if what == 0:
        del lines[here]
    elif what == 1:
        lines[here] *= rng.choice((2, 3, 100))
    elif what == 2:
        lines[here], lines[there] = lines[there], lines[here]
    elif what == 3:
        lines[here] = lines[here].rstrip(b"\r\n")
    else:
        lines.insert(here, rng.choice(other.splitlines(keepends=True) or [b"\n"]))
    return b"".join(lines)[:MAX_BYTES]


def replace_cell(content: bytes, other: bytes, rng: Random) -> bytes:
    """Replace a word between whitespace and commas."""
    cells = re.split(rb"([\t\n, ]+)", content)
    cells[2 * rng.randrange((len(cells) + 1) // 2)] = rng.choice(VALUES + PIECES)
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
# Mutations that keep most of the structure, so that later stages of a parser are reached.
STRUCTURED: tuple[Mutation, ...] = (*[replace_value] * 5, *TEXTUAL)
IN_PLACE: tuple[Mutation, ...] = (flip_bits, overwrite, extreme_length, enlarge)


def mutations_for(suffix: str, rng: Random) -> tuple[Mutation, ...]:
    """Return mutations for a format."""
    if suffix in PACKED:
        return rng.choice((BINARY, IN_PLACE))
    if rng.random() < 0.3:
        return BINARY
    return STRUCTURED if suffix in (".json", ".jsonl") else TEXTUAL


def mutate(
    content: bytes, other: bytes, rng: Random, mutations: tuple[Mutation, ...]
) -> tuple[bytes, list[str]]:
    """Apply one to three mutations; returns also their names."""
    names = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutation = rng.choice(mutations)
        content = mutation(content, other, rng)[:MAX_BYTES]
        names.append(mutation.__name__)
    return content, names


def _stretch(content: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 4, 16, 64, 256)))

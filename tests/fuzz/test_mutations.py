"""Damage is what it says, is the same each time, and reaches what checksums guard."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from random import Random

import numpy as np
import pytest

from spacy_mner.annotate.formats.rows import MAX_COLUMNS
from tests.images.samples import content as written
from tests.images.samples import png_header, quarters

from . import mutations, row_mutations
from .containers import inside_zip, inside_zlib, seal_png
from .mutations import BINARY, MAX_BYTES, TEXTUAL, damage
from .row_mutations import ROWS, damage_rows
from .row_seeds import POSTS, SIZE, pairs_of

CONTENT = struct.pack(">4I", 24, 16, 3, 8) + bytes(range(256)) * 2
OTHER = b'{"a": [1, 2.5, "x"]}\nb\tO\n'
EVERY = sorted({*BINARY, *TEXTUAL}, key=lambda mutation: mutation.__name__)


def results(mutation, content=CONTENT, other=OTHER, n=200):
    return [mutation(content, other, Random(i)) for i in range(n)]


@pytest.mark.parametrize("mutation", EVERY, ids=lambda mutation: mutation.__name__)
def test_damage_is_the_same_each_time_and_mostly_damages(mutation):
    once = results(mutation)
    assert once == results(mutation)
    assert sum(one != CONTENT for one in once) > 100
    assert len(set(once)) > 5 or mutation is mutations.join


@pytest.mark.parametrize("mutation", EVERY, ids=lambda mutation: mutation.__name__)
@pytest.mark.parametrize("content", [b"", b"\0", b"7", b"\n"])
def test_nothing_is_too_small_to_be_damaged(mutation, content):
    assert all(isinstance(one, bytes) for one in results(mutation, content, content, n=50))


def test_flipped_bits_are_few_and_nothing_moves():
    for one in results(mutations.flip_bits):
        bits = sum((a ^ b).bit_count() for a, b in zip(CONTENT, one, strict=True))
        assert 0 <= bits <= 16


def test_truncated_files_are_beginnings_of_any_length():
    lengths = {len(one) for one in results(mutations.truncate) if CONTENT.startswith(one)}
    assert min(lengths) < 20 and max(lengths) > 500


def test_a_swapped_header_is_that_of_the_other_file_before_the_rest_of_this_one():
    for one in results(mutations.swap_header):
        length = next(n for n in (2, 4, 8, 16, 32, 64, 128) if one.endswith(CONTENT[n:]))
        assert one.startswith(OTHER[:length])


def test_an_extreme_length_keeps_the_length_of_the_file():
    found = results(mutations.extreme_length)
    assert {len(one) for one in found} == {len(CONTENT)}
    assert any(b"\xff\xff\xff\xff" in one for one in found)


def test_a_size_in_a_header_becomes_a_large_one():
    sizes = {
        struct.unpack_from(">II", one, 16)
        for one in results(mutations.enlarge, png_header(24, 16), n=2000)
    }
    assert any(width >= 5000 and height >= 5000 for width, height in sizes)


def test_values_of_json_are_replaced_by_values():
    found = results(mutations.replace_value, OTHER)
    assert b'{"a": [null, 2.5, "x"]}\nb\tO\n' in found
    assert b'{"a": [1, 2.5, NaN]}\nb\tO\n' in found


def test_damage_does_not_grow_without_end():
    content = bytes(MAX_BYTES - 10)
    grown = [len(damage(content, CONTENT, Random(i), BINARY)[0]) for i in range(100)]
    assert max(grown) == MAX_BYTES


def test_a_sealed_png_is_damaged_below_its_checksums():
    png = written(quarters(), "PNG")
    assert seal_png(png) == png
    damaged = bytearray(png)
    damaged[19] = 17  # of the width
    sealed = seal_png(bytes(damaged))
    assert sealed[:29] == bytes(damaged[:29])
    assert struct.unpack_from(">I", sealed, 29) == (zlib.crc32(sealed[12:29]),)
    assert sealed[33:] == png[33:]


def test_what_is_packed_is_damaged_where_it_is_unpacked():
    assert zlib.decompress(inside_zlib(zlib.compress(b"abc"), bytes.upper)) == b"ABC"
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2), b=np.ones(2))
    changed = inside_zip(buffer.getvalue(), lambda given: given + b"!", 1)
    with zipfile.ZipFile(io.BytesIO(changed)) as archive:
        assert [archive.read(name)[-1:] == b"!" for name in archive.namelist()] == [False, True]


@pytest.mark.parametrize("mutation", dict.fromkeys(ROWS), ids=lambda mutation: mutation.__name__)
def test_damage_of_rows_is_the_same_each_time_and_mostly_damages(mutation):
    once = [mutation(pairs_of(POSTS), Random(i)) for i in range(100)]
    assert once == [mutation(pairs_of(POSTS), Random(i)) for i in range(100)]
    assert sum(one != pairs_of(POSTS) for one in once) > 50


def test_damaged_rows_are_numbered_and_the_sound_ones_left_alone():
    posts = pairs_of(POSTS)
    for i in range(200):
        rows, _ = damage_rows(posts, Random(i))
        assert [pairs[-1] for pairs in rows] == [("n", str(number)) for number in range(len(rows))]
    assert posts == pairs_of(POSTS)


def test_some_damage_of_rows_ends_at_a_limit_and_some_goes_beyond():
    sizes = {len(row_mutations.repeat_rows(pairs_of(POSTS), Random(i))) for i in range(50)}
    assert sizes == {SIZE - 1, SIZE, SIZE + 1, 2 * SIZE + 1}
    added = [row_mutations.add_columns(pairs_of(POSTS), Random(i)) for i in range(50)]
    columns = {max(map(len, rows)) for rows in added}
    assert {MAX_COLUMNS, len(POSTS[0]) + 3 * MAX_COLUMNS} <= columns

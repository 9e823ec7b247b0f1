"""Mutations inside of compressed or checksummed data."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

Change = Callable[[bytes], bytes]

PNG = b"\x89PNG\r\n\x1a\n"


def fix_png_checksums(content: bytes) -> bytes:
    """Correct the checksums of all chunks."""
    fixed = bytearray(content)
    position = len(PNG)
    while position + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, position)
        end = position + 8 + length
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[position + 4 : end]))
        position = end + 4
    return bytes(fixed)


def inside_zlib(content: bytes, change: Change) -> bytes:
    """Mutate the uncompressed content of a `.spacy` file."""
    return zlib.compress(change(zlib.decompress(content)))


def inside_zip(content: bytes, change: Change, index: int) -> bytes:
    """Mutate one of the files in an `.npz` file."""
    with zipfile.ZipFile(io.BytesIO(content)) as given:
        files = {info.filename: given.read(info) for info in given.infolist()}
    name = sorted(files)[index % len(files)]
    files[name] = change(files[name])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as changed:
        for name, data in files.items():
            changed.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()

"""What is damaged below a checksum, so that the damage is not seen by the checksum alone."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

Change = Callable[[bytes], bytes]

PNG = b"\x89PNG\r\n\x1a\n"


def seal_png(content: bytes) -> bytes:
    """Make the checksums of all chunks right, as far as they are chunks."""
    sealed = bytearray(content)
    place = len(PNG)
    while place + 12 <= len(sealed):
        (length,) = struct.unpack_from(">I", sealed, place)
        end = place + 8 + length
        if end + 4 > len(sealed):
            break
        struct.pack_into(">I", sealed, end, zlib.crc32(sealed[place + 4 : end]))
        place = end + 4
    return bytes(sealed)


def inside_zlib(content: bytes, change: Change) -> bytes:
    """Change what is packed in a `.spacy` file."""
    return zlib.compress(change(zlib.decompress(content)))


def inside_zip(content: bytes, change: Change, choice: int) -> bytes:
    """Change one of the files in an `.npz` file."""
    with zipfile.ZipFile(io.BytesIO(content)) as given:
        files = {info.filename: given.read(info) for info in given.infolist()}
    name = sorted(files)[choice % len(files)]
    files[name] = change(files[name])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as changed:
        for name, data in files.items():
            changed.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()

"""Reads files in Qt's binary resource archives (.rcc), as in Debian's gcompris-qt-data."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

IS_FOLDER, IS_COMPRESSED = 2, 1


def open_packaged(path: Path) -> BytesIO:
    """Return the content of a file, where a folder of its path may be an .rcc archive."""
    archive = next((parent for parent in path.parents if parent.suffix == ".rcc"), None)
    if archive is None:
        return BytesIO(path.read_bytes())
    return BytesIO(read_resource(archive.read_bytes(), path.relative_to(archive).parts))


def read_resource(archive: bytes, parts: tuple[str, ...]) -> bytes:
    """Return a file of an archive; raises FileNotFoundError."""
    version, tree, contents, names = struct.unpack_from(">4I", archive, 4)
    node_size = 14 if version < 2 else 22

    def node_name(node: int) -> str:
        at = names + struct.unpack_from(">I", archive, node)[0]
        (length,) = struct.unpack_from(">H", archive, at)
        return archive[at + 6 : at + 6 + 2 * length].decode("utf-16-be")

    node = tree
    for part in parts:
        count, first = struct.unpack_from(">2I", archive, node + 6)
        children = [tree + node_size * child for child in range(first, first + count)]
        node = next((child for child in children if node_name(child) == part), -1)
        if node < 0:
            raise FileNotFoundError(f"{'/'.join(parts)}: the archive has no {part!r}")
    (flags,) = struct.unpack_from(">H", archive, node + 4)
    if flags & IS_FOLDER:
        raise FileNotFoundError(f"{'/'.join(parts)} is a folder")
    at = contents + struct.unpack_from(">I", archive, node + 10)[0]
    (length,) = struct.unpack_from(">I", archive, at)
    content = archive[at + 4 : at + 4 + length]
    return zlib.decompress(content[4:]) if flags & IS_COMPRESSED else content

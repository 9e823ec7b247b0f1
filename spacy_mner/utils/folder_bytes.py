"""The files of a folder as bytes, and back."""

from __future__ import annotations

from pathlib import Path

import srsly


def folder_to_bytes(folder: Path) -> bytes:
    """Return the files of a folder and of those in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return srsly.msgpack_dumps(files)


def bytes_to_folder(data: bytes, folder: Path) -> None:
    """Write what `folder_to_bytes` returned into an empty folder.

    Raises ValueError for a name that leads out of the folder (path traversal), and errors of other
    types for bytes of anything else.
    """
    for name, content in srsly.msgpack_loads(data).items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{name!r} is outside of the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

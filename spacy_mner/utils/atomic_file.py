"""Output files: their atomic replacement, and the input that must not be one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import UsageError


@contextmanager
def atomic_file(
    path: Path, *, durable: bool = True, temporary_in: Path | None = None
) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name only when it is complete.

    durable: flush it to the disk first, so that a power failure does not leave an empty file; slow
        for many files.
    temporary_in: folder of the temporary file, on the same file system; that of `path` if None.
    """
    temporary = (temporary_in or path.parent) / f"{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_input_as_output(source: Path, target: Path) -> None:
    """Raise UsageError if the output of a command is its input, also through a link."""
    if source.exists() and target.exists() and target.samefile(source):
        raise UsageError(f"{target} is the input. Choose another output.")

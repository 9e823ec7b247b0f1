"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_file(path: Path, *, lasting: bool = True, by: Path | None = None) -> Iterator[IO[bytes]]:
    """Write a file that others see either whole, as it was before, or not at all.

    lasting: wait until it is on the disk before it takes its name, so that a power cut does not
        leave an empty one; slow where there are many.
    by: folder in which it is written first, on the same file system; beside it if None.
    """
    part = (by or path.parent) / f"{uuid.uuid4().hex}.tmp"
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

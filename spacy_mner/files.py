"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path, *, lasting: bool = True) -> Iterator[IO[bytes]]:
    """Write a file that others see either whole, as it was before, or not at all.

    lasting: wait until it is on the disk before it takes its name, so that a power cut does not
        leave an empty one; slow where there are many.
    """
    part = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

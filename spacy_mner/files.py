"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .corpus.errors import CorpusError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that others see either whole, as it was before, or not at all.

    It is on the disk, and not just on its way there, before it takes its name.
    """
    part = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def dump_json(value: Any) -> bytes:
    """A value as a line of JSON."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def read_json(path: Path) -> Any:
    """What a file of JSON holds, None where there is no file.

    Raises CorpusError where it is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorpusError(f"{path} is damaged ({error}); delete it.") from error

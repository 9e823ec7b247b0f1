"""One command at a time in a folder, as long as any process of it lives."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import CorpusError

LOCK = ".lock"
# Seconds that the children of a killed command may take to end: as long as one takes to start.
PATIENCE = 60.0
# Seconds between two looks.
LOOK = 0.5


@contextlib.contextmanager
def alone(folder: Path, what: str) -> Iterator[tuple[int, ...]]:
    """Keep a second command out of a folder, whose unfinished work it would spoil.

    what: the kind of work, for the message.

    Yields the file descriptors that a child must inherit for the lock to last as long as it lives;
    the system lets go of it with the last of them, however it ends. Windows has no such lock.
    Raises CorpusError where another command is at work there.
    """
    try:
        import fcntl
    except ImportError:
        yield ()
        return
    with (folder / LOCK).open("a+") as lock:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                # A child whose parent is gone ends soon; one with a parent is somebody's.
                if _owner_lives(lock) or time.monotonic() > give_up:
                    raise CorpusError(
                        f"Another {what} is at work in {folder}: wait for it."
                    ) from None
            time.sleep(LOOK)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield (lock.fileno(),)


def _owner_lives(lock: IO[str]) -> bool:
    lock.seek(0)
    owner = lock.read()
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True

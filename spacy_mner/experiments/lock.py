"""One experiment at a time in a folder, as long as any process of it lives."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..corpus.errors import CorpusError

LOCK = ".lock"
# Seconds that the runs of a killed experiment may take to end: as long as one takes to start.
PATIENCE = 60.0
# Seconds between two looks.
LOOK = 0.5


@contextlib.contextmanager
def alone(output: Path) -> Iterator[tuple[int, ...]]:
    """Keep a second experiment out of a folder, whose unfinished runs it would delete.

    Yields the file descriptors that a child must inherit for the lock to last as long as it lives;
    the system lets go of it with the last of them, however it ends. Windows has no such lock.
    Raises CorpusError where another experiment is at work.
    """
    try:
        import fcntl
    except ImportError:
        yield ()
        return
    with (output / LOCK).open("a+") as lock:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                # A run whose parent is gone ends soon; one with a parent is somebody's.
                if _owner_lives(lock) or time.monotonic() > give_up:
                    raise CorpusError(
                        f"Another experiment is at work in {output}: wait for it."
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


def end_with(parent: int) -> None:
    """End this process soon after its parent process has ended; Windows does not tell when."""
    if os.name == "posix":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)

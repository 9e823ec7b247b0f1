"""A lock that a forked process can acquire."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet


class ForkSafeLock:
    """A lock, as a context manager, that is free in a forked child.

    Where another thread held a lock during the fork, the child would wait forever: it has a copy
    of the lock, but not the thread that would release it.

    in_child: called in a forked child, to drop what such a thread would have completed.
    """

    def __init__(self, in_child: Callable[[], object] | None = None) -> None:
        self._in_child = in_child
        self._lock = threading.Lock()
        _locks.add(self)

    def renew(self) -> None:
        """Forget who held the lock."""
        self._lock = threading.Lock()
        if self._in_child is not None:
            self._in_child()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: Any) -> None:
        self._lock.release()


_locks: WeakSet[ForkSafeLock] = WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_all)

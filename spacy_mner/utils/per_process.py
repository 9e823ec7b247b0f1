"""PerProcess: what every process makes for itself, because it has threads of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

from .fork_safe_lock import ForkSafeLock

Made = TypeVar("Made")


class PerProcess(Generic[Made]):
    """Makes an object at first use in a process, and again where torch's number of threads changes.

    For objects with threads of their own, such as a session of ONNX Runtime: a forked child does
    not have those of its parent. A pickle contains `make` alone. Thread-safe.

    make: returns the object for a number of threads; picklable.
    """

    def __init__(self, make: Callable[[int], Made]) -> None:
        self.__setstate__(make)

    def current(self) -> Made:
        """Return the object of this process."""
        key = os.getpid(), torch.get_num_threads()
        with self._lock:
            if key not in self._made:
                # Those of a parent process stay: destroying one would wait for its threads forever.
                self._made[key] = self._make(key[1])
            return self._made[key]

    def __getstate__(self) -> Callable[[int], Made]:
        return self._make

    def __setstate__(self, make: Callable[[int], Made]) -> None:
        self._make = make
        # By process and number of threads.
        self._made: dict[tuple[int, int], Made] = {}
        self._lock = ForkSafeLock()

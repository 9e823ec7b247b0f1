"""Cases that do what no case may do, to see whether it is seen."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from .cases import Verdict

CRASH, SLEEP, HOG, GREEDY, RAISE, SPIN = 3, 5, 7, 8, 9, 11
MIB = 1 << 20


@dataclass(frozen=True)
class PlantedCases:
    """Every case is accepted, save one of each kind of finding."""

    def file(self, number: int) -> tuple[bytes, str]:
        return b"", "planted"

    def prepare(self, folder: Path) -> None: ...

    def __call__(self, number: int, folder: Path) -> Verdict:
        if number == CRASH:
            os.abort()
        if number == SLEEP:
            time.sleep(600)
        while number == SPIN:
            pass
        if number == HOG:
            hog = bytearray(os.urandom(MIB)) * 96
            del hog[:]
        if number == GREEDY:
            bytearray(1 << 40)
        if number == RAISE:
            raise KeyError("planted")
        return {"planted": "even" if number % 2 == 0 else ""}


@dataclass(frozen=True)
class UnpreparedCases(PlantedCases):
    def prepare(self, folder: Path) -> None:
        raise OSError("nothing is ready")

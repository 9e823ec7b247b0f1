"""What a fuzz run tries: damaged files by number, and what may become of them."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Protocol

# What was tried with a file → why it was refused, as a kind of reason; "" where it was accepted.
Verdict = dict[str, str]

# Characters of a kind of reason.
SHOWN = 60


class Cases(Protocol):
    """Files by number: the same number is the same file, whichever process asks."""

    def file(self, number: int) -> tuple[bytes, str]:
        """The content of a file, and how it was made."""

    def prepare(self, folder: Path) -> None:
        """Do once what takes long the first time, before anything is timed."""

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Try a file, in an empty folder. Whatever it raises is a finding."""


def chance_of(seed: int, number: int) -> Random:
    """The source of chance of one case."""
    return Random(f"{seed}/{number}")


def kind_of(reason: str) -> str:
    """A reason without what differs from file to file."""
    # The folder of a case differs, and so do numbers, save the one of an encoding.
    named = re.sub(r"\S*/", "", re.sub(r"^/\S+: ", "", reason))
    words = re.split(r": | \(|\. |; ", named)[0].removesuffix(".")
    return re.sub(r"(?<!UTF-)\d[\d,]*", "n", words)[:SHOWN]

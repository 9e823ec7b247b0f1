"""What a fuzz run tries: corrupted files by number."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Protocol

# What was tried with a file -> the category of the error that rejected it, "" if it was accepted.
Verdict = dict[str, str]

# Maximum length of a category, in characters.
MAX_LENGTH = 60


class Cases(Protocol):
    """Files by number; a number is the same file in every process."""

    def file(self, number: int) -> tuple[bytes, str]:
        """Return the content of a file, and how it was made."""

    def prepare(self, folder: Path) -> None:
        """Load libraries and pipelines before any case is timed."""

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Try a file, in an empty folder. Every exception is a finding."""


def random_of(seed: int, number: int) -> Random:
    return Random(f"{seed}/{number}")


def category(message: str) -> str:
    """Return an error message without numbers, names and folders."""
    named = re.sub(r"\S*/", "", re.sub(r"^/\S+: ", "", message))
    words = re.split(r": | \(|\. |; ", named)[0].removesuffix(".")
    return re.sub(r"(?<!UTF-)\d[\d,]*", "n", words)[:MAX_LENGTH]

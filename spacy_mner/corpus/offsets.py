"""Offsets of spans as Label Studio counts them.

Its releases of today count characters, as Python does; those until 2021 counted the units of
UTF-16, in which an emoji is two (HumanSignal/label-studio, issue 1347). A file does not say which,
but most spans bring the text they cover, and only one way of counting finds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..utils.text import brief

# Offset as it is written → offset in characters.
Counting = Mapping[int, int]

# The last character that is one unit of UTF-16.
LAST_OF_ONE_UNIT = 0xFFFF


@dataclass(frozen=True)
class WrittenSpan:
    """A span as a file gives it. covered: the text that is said to stand there, if any."""

    start: int
    end: int
    covered: Any

    def stands_in(self, text: str, counting: Counting) -> bool:
        """Whether the span is a stretch of the text, and the one that it says."""
        start, end = counting.get(self.start), counting.get(self.end)
        if start is None or end is None or start >= end:
            return False
        return not isinstance(self.covered, str) or _alike(self.covered, text[start:end])


def characters(
    text: str, spans: Sequence[WrittenSpan], doubt: Callable[[str], None]
) -> list[tuple[int, int]]:
    """Start and end of each span, in characters.

    All spans are counted alike. Where both ways fit, they are taken for characters, and `doubt`
    is told if that makes a difference. ValueError where neither fits.
    """
    by_character = {i: i for i in range(len(text) + 1)}
    fitting = [
        counting
        for counting in (by_character, _by_unit(text))
        if all(span.stands_in(text, counting) for span in spans)
    ]
    if not fitting:
        raise ValueError(_misfit(text, spans, by_character))
    found = [[(counting[one.start], counting[one.end]) for one in spans] for counting in fitting]
    if found[0] != found[-1]:
        doubt("spans after an emoji that fit in two ways; their offsets were taken for characters")
    return found[0]


def as_shown(covered: str) -> str:
    r"""The text of a span as Label Studio writes it: `\n`, in two characters, for a line break."""
    return covered.replace("\r", "\\n").replace("\n", "\\n")


def _by_unit(text: str) -> Counting:
    counting = {0: 0}
    at = 0
    for i, character in enumerate(text, start=1):
        at += 1 + (ord(character) > LAST_OF_ONE_UNIT)
        counting[at] = i
    return counting


def _alike(written: str, covered: str) -> bool:
    # A browser shows several blanks as one, and a selection may end in one.
    return as_shown(written).replace("\\n", " ").split() == (
        as_shown(covered).replace("\\n", " ").split()
    )


def _misfit(text: str, spans: Sequence[WrittenSpan], counting: Counting) -> str:
    first = next(span for span in spans if not span.stands_in(text, counting))
    place = f"span {first.start}–{first.end}"
    if not 0 <= first.start < first.end <= len(text):
        return f"{place} is not in the text of {len(text)} characters"
    there = brief(text[first.start : first.end])
    return f"{place} is said to be {brief(first.covered)}, but is {there}"

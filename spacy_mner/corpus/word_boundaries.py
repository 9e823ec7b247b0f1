"""Spans that begin or end inside a word, and the mistakes of offsets that they come from."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .offsets import code_unit_offsets
from .spans import CharSpan, Offsets

# Scripts in which words have no space between them, or an ending of their own.
UNSEGMENTED = (
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HANGUL",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
    "TIBETAN",
)

# What is added to start and end by a repair → what is wrong with offsets that it repairs.
SHIFTS = {
    (0, 1): "end is the last character, not the one after it; add 1 to end",
    (1, 1): "offsets are one too low; add 1 to start and end",
    (-1, -1): "offsets are counted from 1, not 0; subtract 1 from start and end",
    (-1, 0): "start is counted from 1 and end is the last character; subtract 1 from start",
}
UTF_16 = "offsets are UTF-16 code units, not characters; export the text of each span as well"


def is_inside_word(text: str, position: int) -> bool:
    """Whether a boundary has a letter, digit or combining mark on both sides.

    False between characters of scripts that do not separate words.
    """
    if not 0 < position < len(text):
        return False
    sides = text[position - 1 : position + 1]
    return all(c.isalnum() or unicodedata.category(c)[0] == "M" for c in sides) and not any(
        unicodedata.name(c, "").startswith(UNSEGMENTED) for c in sides
    )


def word_around(text: str, start: int, end: int) -> Offsets:
    """Return the start and end of the words that a span is in."""
    while is_inside_word(text, start):
        start -= 1
    while is_inside_word(text, end):
        end += 1
    return start, end


@dataclass
class OffsetCheck:
    """Counts the spans of a corpus whose boundaries another reading of the offsets would repair.

    affected: by repair, the number of spans that it would move.
    repaired: by repair, those of them that are parts of words, and would be whole words.
    """

    affected: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)

    def update(self, text: str, spans: Iterable[CharSpan]) -> None:
        """Count the spans of a post."""
        for span in spans:
            is_whole = _is_whole(text, (span.start, span.end))
            for name, moved in _repairs(text, (span.start, span.end)):
                self.affected[name] += 1
                self.repaired[name] += not is_whole and _is_whole(text, moved)

    @property
    def hint(self) -> str:
        """The mistake that explains most of the spans that it affects; "" if there is none."""
        likely = [name for name, n in self.repaired.items() if n > self.affected[name] / 2]
        return max(likely, key=self.repaired.__getitem__, default="")


def _is_whole(text: str, offsets: Offsets) -> bool:
    start, end = offsets
    covered = text[start:end]
    return 0 <= start < end <= len(text) and not (
        covered != covered.strip() or is_inside_word(text, start) or is_inside_word(text, end)
    )


def _repairs(text: str, offsets: Offsets) -> Iterator[tuple[str, Offsets]]:
    start, end = offsets
    for (first, last), name in SHIFTS.items():
        yield name, (start + first, end + last)
    units = code_unit_offsets(text) if not text.isascii() else {}
    moved = units.get(start, start), units.get(end, end)
    if moved != offsets:
        yield UTF_16, moved

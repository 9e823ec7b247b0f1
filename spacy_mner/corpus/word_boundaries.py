"""Spans that begin or end inside a word, and the mistakes of offsets that they come from."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ..errors import CorpusError
from .offsets import in_bytes, in_code_units, offsets_by
from .spans import Offsets

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
    (0, 1): "end is the last character, not the one after it (add 1 to end)",
    (1, 1): "offsets are one too low (add 1 to start and end)",
    (-1, -1): "offsets are counted from 1, not 0 (subtract 1 from start and end)",
    (-1, 0): "start is counted from 1 and end is the last character (subtract 1 from start)",
}
# A unit of offsets other than characters → what makes it differ, and the length of a character.
UNITS: dict[str, tuple[str, Callable[[str], int]]] = {
    "offsets are UTF-16 code units, not characters": (r"[^\0-\uffff]", in_code_units),
    "offsets are bytes, not characters": (r"[^\0-\x7f]", in_bytes),
    "a line break was two characters (CR LF)": (r"(?<!\r)\n", lambda c: 1 + (c == "\n")),
    "the line break CR LF was one character": (r"\r\n", lambda c: int(c != "\r")),
}
# A mistake that explains so many spans, and this share of those that it affects, is one.
MIN_SPANS = 3
NEARLY_ALL = 0.9


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
    """Counts the spans of a file whose boundaries another reading of the offsets would repair.

    affected: by repair, the number of spans that it would move.
    repaired: by repair, those of them that are parts of words, and would be whole words.
    """

    affected: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)

    def update(self, text: str, spans: Iterable[Offsets]) -> None:
        """Count the spans of a post, as they are in the file."""
        for span in spans:
            is_whole = _is_whole(text, span)
            for name, moved in _repairs(text, span):
                self.affected[name] += 1
                self.repaired[name] += not is_whole and _is_whole(text, moved)

    @property
    def hint(self) -> str:
        """The mistakes that explain most of the spans that they affect; "" if there is none."""
        return self._mistakes(share=0.5)

    def check(self) -> None:
        """Raise CorpusError if a mistake explains nearly all of the spans that it affects."""
        mistakes = self._mistakes(NEARLY_ALL)
        if mistakes and max(self.repaired.values()) >= MIN_SPANS:
            raise CorpusError(
                f"{max(self.repaired.values()):,} spans begin or end inside a word or with white "
                f"space. All are whole words if {mistakes}. Correct the file, or export the text "
                "of each span as well, by which offsets are checked."
            )

    def _mistakes(self, share: float) -> str:
        likely = [name for name, n in self.repaired.items() if n > share * self.affected[name]]
        most = max(map(self.repaired.__getitem__, likely), default=0)
        return ", or ".join(name for name in likely if self.repaired[name] == most)


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
    for name, (pattern, length) in UNITS.items():
        if re.search(pattern, text):
            units = offsets_by(length, text)
            moved = units.get(start, start), units.get(end, end)
            if moved != offsets:
                yield name, moved

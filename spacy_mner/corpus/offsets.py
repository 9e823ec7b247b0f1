"""Character offsets of Label Studio's spans.

Current releases count characters, as Python does; those until 2021 counted UTF-16 code units, in
which an emoji has two (HumanSignal/label-studio, issue 1347). A file does not name the unit, but
most spans include their text, which is found by one of the two units only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..utils.text import short_repr

# Offset in the file → offset in characters.
OffsetMap = Mapping[int, int]

# The last character of the Basic Multilingual Plane: a single UTF-16 code unit.
LAST_OF_ONE_UNIT = 0xFFFF


@dataclass(frozen=True)
class ExportedSpan:
    """A span as exported. covered: its text, if any."""

    start: int
    end: int
    covered: Any

    def matches(self, text: str, offsets: OffsetMap) -> bool:
        """Whether the span is inside the text and covers the text that it claims to."""
        start, end = offsets.get(self.start), offsets.get(self.end)
        if start is None or end is None or start >= end:
            return False
        return not isinstance(self.covered, str) or _equal_text(self.covered, text[start:end])


def character_offsets(
    text: str, spans: Sequence[ExportedSpan], report: Callable[[str], None]
) -> list[tuple[int, int]]:
    """Return the start and end of each span in characters.

    The unit is the one by which all spans match. If both do, it is characters, and an ambiguity is
    reported. Raises ValueError if neither does.
    """
    by_character = {i: i for i in range(len(text) + 1)}
    matching = [
        offsets
        for offsets in (by_character, _by_code_unit(text))
        if all(span.matches(text, offsets) for span in spans)
    ]
    if not matching:
        raise ValueError(_mismatch(text, spans, by_character))
    found = [[(offsets[one.start], offsets[one.end]) for one in spans] for offsets in matching]
    if found[0] != found[-1]:
        report("ambiguous offsets of spans after an emoji; read as characters, not UTF-16")
    return found[0]


def exported_text(covered: str) -> str:
    r"""Return the text of a span as Label Studio writes it: a line break as `\` and `n`."""
    return covered.replace("\r", "\\n").replace("\n", "\\n")


def _by_code_unit(text: str) -> OffsetMap:
    offsets = {0: 0}
    units = 0
    for i, character in enumerate(text, start=1):
        units += 1 + (ord(character) > LAST_OF_ONE_UNIT)
        offsets[units] = i
    return offsets


def _equal_text(exported: str, covered: str) -> bool:
    # A browser collapses white space, and a selection may end in some.
    return exported_text(exported).replace("\\n", " ").split() == (
        exported_text(covered).replace("\\n", " ").split()
    )


def _mismatch(text: str, spans: Sequence[ExportedSpan], offsets: OffsetMap) -> str:
    first = next(span for span in spans if not span.matches(text, offsets))
    name = f"span {first.start}–{first.end}"
    if not 0 <= first.start < first.end <= len(text):
        return f"{name} is outside the text of {len(text)} characters"
    covered = text[first.start : first.end]
    return f"{name} has the text {short_repr(first.covered)}, but covers {short_repr(covered)}"

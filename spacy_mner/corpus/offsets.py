"""Character offsets of Label Studio's spans.

Current releases count characters, as Python does; those until 2021 counted UTF-16 code units, in
which an emoji has two (HumanSignal/label-studio, issue 1347). A file does not name the unit, but
most spans include their text, which is found by one of the two units only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from ..utils.text import short_repr

# Start, end and covered text, if any, of a span as exported.
ExportedSpan = tuple[int, int, Any]
# Offset in the file → offset in characters.
OffsetMap = Mapping[int, int]

# The last character of the Basic Multilingual Plane: a single UTF-16 code unit.
LAST_OF_ONE_UNIT = 0xFFFF


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
        if all(_matches(span, text, offsets) for span in spans)
    ]
    if not matching:
        raise ValueError(_mismatch(text, spans, by_character))
    found = [[(offsets[start], offsets[end]) for start, end, _ in spans] for offsets in matching]
    if found[0] != found[-1]:
        report("ambiguous offsets of spans after an emoji; read as characters, not UTF-16")
    return found[0]


def exported_text(covered: str) -> str:
    r"""Return the text of a span as Label Studio writes it: a line break as `\` and `n`."""
    return covered.replace("\r", "\\n").replace("\n", "\\n")


def _by_code_unit(text: str) -> OffsetMap:
    units = accumulate((1 + (ord(c) > LAST_OF_ONE_UNIT) for c in text), initial=0)
    return {unit: i for i, unit in enumerate(units)}


def _matches(span: ExportedSpan, text: str, offsets: OffsetMap) -> bool:
    """Whether the span is inside the text and covers the text that was exported with it."""
    start, end = offsets.get(span[0]), offsets.get(span[1])
    if start is None or end is None or start >= end:
        return False
    return not isinstance(span[2], str) or _equal_text(span[2], text[start:end])


def _equal_text(exported: str, covered: str) -> bool:
    # A browser collapses white space, and a selection may end in some.
    return exported_text(exported).replace("\\n", " ").split() == (
        exported_text(covered).replace("\\n", " ").split()
    )


def _mismatch(text: str, spans: Sequence[ExportedSpan], offsets: OffsetMap) -> str:
    start, end, covered = next(span for span in spans if not _matches(span, text, offsets))
    name = f"span {start}–{end}"
    if not 0 <= start < end <= len(text):
        return f"{name} is outside the text of {len(text)} characters"
    return f"{name} has the text {short_repr(covered)}, but covers {short_repr(text[start:end])}"

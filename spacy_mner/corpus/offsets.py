"""The unit of character offsets: characters, UTF-16 code units or UTF-8 bytes.

Python counts characters. Tools in JavaScript count UTF-16 code units, in which an emoji has two
(HumanSignal/label-studio, issue 1347), others bytes. A file does not name the unit, but a span that
includes its text is found by one unit only.
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
# Start and end of each span in characters; None for a span that does not fit the text.
Located = list[tuple[int, int] | None]

# The last character of the Basic Multilingual Plane: a single UTF-16 code unit.
LAST_OF_ONE_UNIT = 0xFFFF


def character_offsets(
    text: str, spans: Sequence[ExportedSpan], report: Callable[[str], None]
) -> Located:
    """Return the start and end of each span in characters.

    The unit is the one by which most spans cover the text that they include. If several do, at
    different places, it is characters if possible, and the ambiguity is reported. A span with
    another text than it covers is None, and reported. Bytes are tried only if spans have texts.

    Raises ValueError if no span fits, or if one without a text is outside the post.
    """
    if not spans:
        return []
    units: dict[str, OffsetMap] = {"characters": {i: i for i in range(len(text) + 1)}}
    if not text.isascii():
        units["UTF-16"] = offsets_by(in_code_units, text)
        if any(isinstance(span[2], str) for span in spans):
            units["bytes"] = offsets_by(in_bytes, text)
    candidates = {
        name: [_locate(span, text, offsets) for span in spans] for name, offsets in units.items()
    }
    numbers = {name: sum(map(bool, found)) for name, found in candidates.items()}
    unit = max(units, key=numbers.__getitem__)
    found = candidates[unit]
    for other in units:
        if numbers[other] == numbers[unit] > 0 and candidates[other] != found:
            report(f"ambiguous offsets of spans: read as {unit}, not {other}")
    misfits = [span for span, place in zip(spans, found, strict=True) if place is None]
    if len(misfits) == len(spans) or not all(isinstance(span[2], str) for span in misfits):
        raise ValueError(_misfit(text, misfits[0]))
    for span in misfits:
        report(
            f"{_misfit(text, span)}; the post is kept, but its tokens outside of the other spans "
            "count as not annotated"
        )
    return found


def exported_text(covered: str) -> str:
    r"""Return the text of a span as Label Studio writes it: a line break as `\` and `n`."""
    return covered.replace("\r", "\\n").replace("\n", "\\n")


def offsets_by(length: Callable[[str], int], text: str) -> OffsetMap:
    """Return the offsets in characters by those in another unit. length: of a character in it."""
    return {unit: i for i, unit in enumerate(accumulate(map(length, text), initial=0))}


def in_code_units(character: str) -> int:
    """Return the length of a character in UTF-16."""
    return 1 + (ord(character) > LAST_OF_ONE_UNIT)


def in_bytes(character: str) -> int:
    """Return the length of a character in UTF-8."""
    return len(character.encode())


def _locate(span: ExportedSpan, text: str, offsets: OffsetMap) -> tuple[int, int] | None:
    """Return the place of a span, if it covers the text that was exported with it."""
    start, end = offsets.get(span[0]), offsets.get(span[1])
    if start is None or end is None or start >= end:
        return None
    is_equal = not isinstance(span[2], str) or _equal_text(span[2], text[start:end])
    return (start, end) if is_equal else None


def _equal_text(exported: str, covered: str) -> bool:
    # A browser collapses white space, a selection may end in some, and pipelines of Hugging Face
    # join word pieces by spaces, in lower case.
    first, second = (
        "".join(exported_text(one).replace("\\n", " ").split()).casefold()
        for one in (exported, covered)
    )
    return first == second


def misplaced(start: int, end: int, text: str) -> str:
    """Return what is wrong with a span that covers nothing of a text."""
    if start == end:
        return f"span {start}–{end} is empty"
    in_text = ", but not of its bytes" if 0 <= start < end <= len(text.encode()) else ""
    return f"span {start}–{end} is outside the text of {len(text)} characters{in_text}"


def mismatch(name: str, text: Any, covered: str) -> str:
    """Return the message for a span or token with another text than it covers."""
    return f"{name} has the text {short_repr(text)}, but covers {short_repr(covered)}"


def _misfit(post: str, span: ExportedSpan) -> str:
    start, end, text = span
    if not 0 <= start < end <= len(post):
        return misplaced(start, end, post)
    return mismatch(f"span {start}–{end}", text, post[start:end])

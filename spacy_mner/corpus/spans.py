"""Character spans, and the tokens that they cover."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import add

from .tags import Entity

# First character, last character + 1.
Offsets = tuple[int, int]


@dataclass(frozen=True)
class CharSpan:
    """A labeled span of a text. start, end: in characters, end exclusive."""

    start: int
    end: int
    label: str


def trim(text: str, span: CharSpan) -> CharSpan:
    """Remove white space from both ends of a span."""
    covered = text[span.start : span.end]
    start = span.start + len(covered) - len(covered.lstrip())
    return CharSpan(start, max(start, span.start + len(covered.rstrip())), span.label)


def split_at(tokens: Iterable[Offsets], spans: Iterable[CharSpan]) -> list[Offsets]:
    """Split tokens where a span begins or ends inside one."""
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})
    result: list[Offsets] = []
    for start, end in tokens:
        inside = edges[bisect_right(edges, start) : bisect_left(edges, end)]
        result.extend(pairwise([start, *inside, end]))
    return result


def words_and_spaces(text: str, tokens: Sequence[Offsets]) -> tuple[list[str], list[bool]]:
    """Return the words of a text and whether a space follows each; joined, they equal the text.

    tokens: in order, without overlaps. Text between them, except for a single space, becomes a
        token of its own.
    """
    words: list[str] = []
    spaces: list[bool] = []
    position = 0
    for start, end in [*tokens, (len(text), len(text))]:
        gap = text[position:start]
        if gap.startswith(" ") and words:
            spaces[-1] = True
            gap = gap[1:]
        for word in filter(None, (gap, text[start:end])):
            words.append(word)
            spaces.append(False)
        position = end
    return words, spaces


def token_offsets(words: Sequence[str], spaces: Sequence[bool]) -> list[Offsets]:
    """Return the character offsets of each word in the text."""
    starts = accumulate(map(add, map(len, words), spaces), initial=0)
    return [(start, start + len(word)) for start, word in zip(starts, words, strict=False)]


def without_overlaps(
    spans: Iterable[CharSpan], report: Callable[[CharSpan, str], None]
) -> list[CharSpan]:
    """Keep the longest, then the first, of overlapping spans, and report the others; in order."""
    kept: list[CharSpan] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        i = bisect_left(kept, span.start, key=lambda other: other.start)
        # Kept spans do not overlap, so only the adjacent ones can overlap this one.
        neighbors = (*kept[max(i - 1, 0) : i], *kept[i : i + 1])
        if any(span.start < other.end and other.start < span.end for other in neighbors):
            report(span, "overlaps a longer or an earlier one; left out")
        else:
            kept.insert(i, span)
    return kept


def overlapping_tokens(tokens: Sequence[Offsets], span: CharSpan) -> range:
    """Return the indices of tokens that overlap a span. tokens: in order, without overlaps."""
    first = bisect_right(tokens, span.start, key=lambda token: token[1])
    return range(first, bisect_left(tokens, span.end, key=lambda token: token[0]))


def align(
    spans: Iterable[CharSpan],
    tokens: Sequence[Offsets],
    report: Callable[[CharSpan, str], None],
    unannotated: Iterable[CharSpan] = (),
) -> tuple[list[Entity], list[int]]:
    """Convert character spans to token spans.

    Returns the entities, and the other tokens whose annotation is missing: those that overlap an
    `unannotated` span, or one that does not begin and end at token boundaries, which is reported.
    """
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    ends = {end: i for i, (_, end) in enumerate(tokens)}
    entities: list[Entity] = []
    missing = {i for span in unannotated for i in overlapping_tokens(tokens, span)}
    for span in spans:
        if span.start in starts and span.end in ends:
            entities.append((starts[span.start], ends[span.end] + 1, span.label))
            continue
        missing.update(overlapping_tokens(tokens, span))
        report(span, "does not begin and end at token boundaries; its annotation is missing")
    covered = {i for start, end, _ in entities for i in range(start, end)}
    return entities, sorted(missing - covered)

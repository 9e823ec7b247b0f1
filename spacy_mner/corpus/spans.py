"""Character spans laid over tokens."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .tags import Entity

# First character, last character + 1.
Offsets = tuple[int, int]


@dataclass(frozen=True)
class CharSpan:
    """A labeled stretch of a text. start, end: in characters, end exclusive."""

    start: int
    end: int
    label: str


def trim(text: str, span: CharSpan) -> CharSpan:
    """Take white space off the ends of a span."""
    covered = text[span.start : span.end]
    start = span.start + len(covered) - len(covered.lstrip())
    return CharSpan(start, max(start, span.start + len(covered.rstrip())), span.label)


def cut_at(tokens: Iterable[Offsets], spans: Iterable[CharSpan]) -> list[Offsets]:
    """Split tokens where a span begins or ends inside one."""
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})
    cut: list[Offsets] = []
    for start, end in tokens:
        inside = edges[bisect_right(edges, start) : bisect_left(edges, end)]
        bounds = [start, *inside, end]
        cut.extend(pairwise(bounds))
    return cut


def words_and_spaces(text: str, tokens: Sequence[Offsets]) -> tuple[list[str], list[bool]]:
    """Spell a text as tokens, each with or without a space after it.

    tokens: in order, without overlaps. What stands between them and is more than one space
    becomes a token of its own, so that words and spaces always spell the text.
    """
    words: list[str] = []
    spaces: list[bool] = []

    def fill(gap: str) -> None:
        if gap.startswith(" ") and words:
            spaces[-1] = True
            gap = gap[1:]
        if gap:
            words.append(gap)
            spaces.append(False)

    at = 0
    for start, end in tokens:
        fill(text[at:start])
        words.append(text[start:end])
        spaces.append(False)
        at = end
    fill(text[at:])
    return words, spaces


def token_offsets(words: Sequence[str], spaces: Sequence[bool]) -> list[Offsets]:
    """Where each token stands in the text that words and spaces spell."""
    offsets = []
    at = 0
    for word, space in zip(words, spaces, strict=True):
        offsets.append((at, at + len(word)))
        at += len(word) + space
    return offsets


def without_overlaps(
    spans: Iterable[CharSpan], refuse: Callable[[CharSpan, str], None]
) -> list[CharSpan]:
    """Keep the longest of spans that overlap, telling `refuse` of the others; in order."""
    kept: list[CharSpan] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        at = bisect_left(kept, span.start, key=lambda other: other.start)
        # Those kept do not overlap, and so only the neighbors can be in the way.
        before, after = kept[max(at - 1, 0) : at], kept[at : at + 1]
        if any(span.start < other.end and other.start < span.end for other in (*before, *after)):
            refuse(span, "overlaps a longer or an earlier one; left out")
        else:
            kept.insert(at, span)
    return kept


def touched(tokens: Sequence[Offsets], span: CharSpan) -> range:
    """The tokens that a span covers in part or whole. tokens: in order, without overlaps."""
    first = bisect_right(tokens, span.start, key=lambda token: token[1])
    return range(first, bisect_left(tokens, span.end, key=lambda token: token[0]))


def align(
    spans: Iterable[CharSpan],
    tokens: Sequence[Offsets],
    refuse: Callable[[CharSpan, str], None],
) -> tuple[list[Entity], list[int]]:
    """Find the tokens of each span.

    Returns the entities, and the tokens that are touched by a span which does not begin and end
    where tokens do: `refuse` is told of it, and the annotation of these tokens is unknown.
    """
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    ends = {end: i for i, (_, end) in enumerate(tokens)}
    entities: list[Entity] = []
    unknown: set[int] = set()
    for span in spans:
        if span.start in starts and span.end in ends:
            entities.append((starts[span.start], ends[span.end] + 1, span.label))
            continue
        unknown.update(touched(tokens, span))
        refuse(span, "does not begin and end where tokens do; annotation there is missing")
    covered = {i for start, end, _ in entities for i in range(start, end)}
    return entities, sorted(unknown - covered)

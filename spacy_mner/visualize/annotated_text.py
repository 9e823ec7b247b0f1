"""A post's text cut where entities begin and end: as annotated, and as a pipeline reads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from spacy.tokens import Doc

from ..corpus.posts import missing_tokens

# What a stretch of text is: nothing, an entity of the annotation, not annotated; predicted rightly,
# predicted wrongly, predicted where nobody knows; an entity of the annotation that was not found.
Kind = Literal["", "gold", "unknown", "right", "wrong", "open", "missed"]

# First character, last character + 1, label. Characters, since a pipeline may merge tokens.
Span = tuple[int, int, str]


@dataclass(frozen=True)
class Piece:
    """A stretch of a post's text.

    score: the probability of a predicted entity, if there is one.
    entity: which one of the predicted entities it is, from 1; 0 for none.
    """

    text: str
    kind: Kind = ""
    label: str = ""
    score: float | None = None
    entity: int = 0


@dataclass(frozen=True)
class Reading:
    """A post as somebody reads it.

    pieces: spell the text of the post.
    right: whether the entities are exactly those of the annotation; None where that is incomplete.
    """

    pieces: list[Piece]
    right: bool | None = None


@dataclass(frozen=True)
class _Mark:
    start: int
    end: int
    kind: Kind
    label: str = ""
    score: float | None = None
    entity: int = 0


def is_annotated(gold: Doc) -> bool:
    """Whether every token is annotated, so that a prediction can be right or wrong."""
    return not missing_tokens(gold)


def read_gold(gold: Doc) -> Reading:
    """The post as it is annotated."""
    marks = [_Mark(start, end, "gold", label) for start, end, label in spans_of(gold)]
    for start, end in _runs(missing_tokens(gold)):
        covered = gold[start:end]
        marks.append(_Mark(covered.start_char, covered.end_char, "unknown"))
    return Reading(_cut(gold.text, marks))


def read_prediction(predicted: Doc, gold: Doc) -> Reading:
    """The post as a pipeline reads it, every entity judged by the annotation.

    An entity of the annotation counts as missed where no predicted one touches it: elsewhere the
    wrong one stands in its place.
    """
    judged = is_annotated(gold)
    expected = set(spans_of(gold))
    found = spans_of(predicted)
    marks = []
    for n, (entity, span) in enumerate(zip(predicted.ents, found, strict=True), start=1):
        kind: Kind = "right" if span in expected else "wrong"
        marks.append(_Mark(*span[:2], kind if judged else "open", span[2], entity._.score, n))
    if judged:
        for start, end, label in expected:
            if not any(start < other_end and other < end for other, other_end, _ in found):
                marks.append(_Mark(start, end, "missed", label))
    return Reading(_cut(predicted.text, marks), set(found) == expected if judged else None)


def spans_of(doc: Doc) -> list[Span]:
    """The entities of a post, in order."""
    return [(entity.start_char, entity.end_char, entity.label_) for entity in doc.ents]


def _runs(tokens: Iterable[int]) -> list[tuple[int, int]]:
    """Neighboring tokens as (first, last + 1)."""
    runs = []
    for _, group in groupby(enumerate(tokens), key=lambda pair: pair[1] - pair[0]):
        run = [token for _, token in group]
        runs.append((run[0], run[-1] + 1))
    return runs


def _cut(text: str, marks: Iterable[_Mark]) -> list[Piece]:
    pieces = []
    at = 0
    for mark in sorted(marks, key=lambda mark: mark.start):
        if at < mark.start:
            pieces.append(Piece(text[at : mark.start]))
        covered = text[mark.start : mark.end]
        pieces.append(Piece(covered, mark.kind, mark.label, mark.score, mark.entity))
        at = mark.end
    rest = text[at:].rstrip(" ")
    return [*pieces, Piece(rest)] if rest else pieces

"""The text of a post split into segments at gold and predicted entities.

Gold and predicted entities are compared by character offsets, since the two Docs may differ in
their tokens: the gold Doc is tokenized by the corpus, the predicted one by the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from spacy.tokens import Doc

from ..corpus.posts import missing_tokens

# "": no entity. In the gold text: "gold", "unannotated" (missing annotation). In a predicted text:
# "correct", "wrong", "unverified" (there is no gold annotation, or an incomplete one), "missed" (a
# gold entity that no predicted entity overlaps).
SegmentKind = Literal["", "gold", "unannotated", "correct", "wrong", "unverified", "missed"]

# Start and end as character offsets, and the label.
Offsets = tuple[int, int, str]


@dataclass(frozen=True)
class Segment:
    """A stretch of the text of a post.

    score: the probability of a predicted entity, if the pipeline sets one.
    entity: the number of the predicted entity, from 1 in the order of `doc.ents`; 0 for others.
    """

    text: str
    kind: SegmentKind = ""
    label: str = ""
    score: float | None = None
    entity: int = 0


@dataclass(frozen=True)
class AnnotatedText:
    """A post with its gold or predicted entities.

    segments: their texts concatenated are the text of the post.
    correct: whether the predicted entities are exactly the gold ones; None for the gold text, and
        where the gold annotation is incomplete.
    """

    segments: list[Segment]
    correct: bool | None = None


def annotate_gold(gold: Doc) -> AnnotatedText:
    """Return the text of a gold Doc with its entities and its missing annotation."""
    spans = [(start, end, Segment("", "gold", label)) for start, end, label in entity_offsets(gold)]
    missing = set(missing_tokens(gold))
    for is_missing, run in groupby(gold, key=lambda token: token.i in missing):
        if is_missing:
            tokens = list(run)
            end = tokens[-1].idx + len(tokens[-1])
            spans.append((tokens[0].idx, end, Segment("", "unannotated")))
    return AnnotatedText(_split(gold.text, spans))


def annotate_prediction(predicted: Doc, gold: Doc) -> AnnotatedText:
    """Return the text with the predicted entities, each compared with the gold annotation.

    A gold entity is "missed" only where no predicted entity overlaps it; elsewhere the overlapping
    wrong one is shown in its place.
    """
    if missing_tokens(gold):
        return annotate_entities(predicted)
    expected, found = set(entity_offsets(gold)), entity_offsets(predicted)
    spans = [
        (
            start,
            end,
            replace(one, kind="correct" if (start, end, one.label) in expected else "wrong"),
        )
        for start, end, one in _predicted_spans(predicted)
    ]
    for start, end, label in expected:
        if not any(start < other_end and other < end for other, other_end, _ in found):
            spans.append((start, end, Segment("", "missed", label)))
    return AnnotatedText(_split(predicted.text, spans), set(found) == expected)


def annotate_entities(predicted: Doc) -> AnnotatedText:
    """Return the text with the predicted entities, which nothing is compared with."""
    return AnnotatedText(_split(predicted.text, _predicted_spans(predicted)))


def _predicted_spans(predicted: Doc) -> list[tuple[int, int, Segment]]:
    return [
        (start, end, Segment("", "unverified", label, entity._.score, number))
        for number, (entity, (start, end, label)) in enumerate(
            zip(predicted.ents, entity_offsets(predicted), strict=True), start=1
        )
    ]


def entity_offsets(doc: Doc) -> list[Offsets]:
    """Return the entities of a Doc in order."""
    return [(entity.start_char, entity.end_char, entity.label_) for entity in doc.ents]


def _split(text: str, spans: Iterable[tuple[int, int, Segment]]) -> list[Segment]:
    """Split a text at spans that do not overlap; each gives the attributes of its segment."""
    segments = []
    position = 0
    for start, end, segment in sorted(spans, key=lambda span: span[0]):
        if position < start:
            segments.append(Segment(text[position:start]))
        segments.append(replace(segment, text=text[start:end]))
        position = end
    rest = text[position:].rstrip(" ")
    return [*segments, Segment(rest)] if rest else segments

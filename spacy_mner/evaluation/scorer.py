"""Precision, recall and F1 of entities, and of their boundaries alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from spacy.scorer import PRFScore
from spacy.tokens import Doc
from spacy.training import Example

from ..corpus.mentions import find_mentions, is_only_mention

Scorer = Callable[..., dict[str, Any]]
# First character, last character + 1, label.
Entity = tuple[int, int, str]


def build_mner_scorer() -> Scorer:
    """Score entities by exact match of character offsets and label; see `score_entities`."""
    return score_entities


def score_entities(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """Score entities by exact match of both character offsets and the label, as in CoNLL.

    Returns fractions in [0, 1]: `ents_p`, `ents_r`, `ents_f` over all labels, `ents_per_type`
    (label → p, r, f), and `segmentation_p`, `segmentation_r`, `segmentation_f`, which ignore the
    label (Moon et al. 2018, table 1). All are None if there is nothing to score. Predicted entities
    that the gold annotation cannot confirm or refute are ignored; see `entities_by_offset`.
    `without_mentions` has the same scores without gold and predicted entities that are only a user
    mention; None if there is no such entity.
    """
    scores, without_mentions = _Scores(), _Scores()
    any_mention = False
    for example in examples:
        gold, predicted = entities_by_offset(example)
        scores.update(gold, predicted)
        mentions = _entities_in_mentions(gold | predicted, example)
        without_mentions.update(gold - mentions, predicted - mentions)
        any_mention |= bool(mentions)
    return {
        **scores.to_dict(),
        "without_mentions": without_mentions.to_dict() if any_mention else None,
    }


@dataclass
class _Scores:
    """Counts of correct, missed and wrong entities."""

    per_type: dict[str, PRFScore] = field(default_factory=lambda: defaultdict(PRFScore))
    segmentation: PRFScore = field(default_factory=PRFScore)

    def update(self, gold: set[Entity], predicted: set[Entity]) -> None:
        for label in sorted({label for _, _, label in gold | predicted}):
            self.per_type[label].score_set(_of_label(predicted, label), _of_label(gold, label))
        self.segmentation.score_set(without_labels(predicted), without_labels(gold))

    def to_dict(self) -> dict[str, Any]:
        total = sum(self.per_type.values(), start=PRFScore())
        return {
            **_fractions("ents", total),
            "ents_per_type": {k: v.to_dict() for k, v in self.per_type.items()} or None,
            **_fractions("segmentation", self.segmentation),
        }


def entities_by_offset(example: Example) -> tuple[set[Entity], set[Entity]]:
    """Return gold and predicted entities by character offsets.

    Predicted entities that overlap missing annotation are left out, and those with a label that the
    corpus does not annotate (`doc._.annotated_labels`). If the texts differ, white space is not
    counted: `spacy.training.Example` accepts no other difference.
    """
    reference, predicted = example.reference, example.predicted
    same = reference.text == predicted.text
    in_reference, in_predicted = _offsets(reference, same), _offsets(predicted, same)
    missing = [
        (in_reference[token.idx], in_reference[token.idx + len(token)])
        for token in reference
        if not token.ent_iob
    ]
    annotated = reference._.annotated_labels
    scored = {
        (start, end, label)
        for start, end, label in _entities(predicted, in_predicted)
        if start < end
        and (annotated is None or label in annotated)
        and not any(start < to and at < end for at, to in missing)
    }
    return _entities(reference, in_reference), scored


def _entities_in_mentions(entities: set[Entity], example: Example) -> set[Entity]:
    """Return the entities that are only a user mention; see `entities_by_offset`."""
    reference = example.reference
    found = find_mentions(reference)
    if not found:
        return set()
    offsets = _offsets(reference, reference.text == example.predicted.text)
    mentions = [(offsets[start], offsets[end]) for start, end in found]
    return {entity for entity in entities if is_only_mention(*entity[:2], mentions)}


def without_labels(entities: set[Entity]) -> set[tuple[int, int]]:
    """Return the boundaries of entities alone: (start, end)."""
    return {(start, end) for start, end, _ in entities}


def _of_label(entities: set[Entity], label: str) -> set[Entity]:
    return {entity for entity in entities if entity[2] == label}


def _entities(doc: Doc, offsets: Sequence[int]) -> set[Entity]:
    return {(offsets[e.start_char], offsets[e.end_char], e.label_) for e in doc.ents}


def _offsets(doc: Doc, count_space: bool) -> list[int]:
    """Map each offset of the text to the number of counted characters before it."""
    return list(accumulate((count_space or not c.isspace() for c in doc.text), initial=0))


def _fractions(prefix: str, score: PRFScore) -> dict[str, float | None]:
    values = (score.precision, score.recall, score.fscore) if len(score) else (None, None, None)
    return dict(zip((f"{prefix}_p", f"{prefix}_r", f"{prefix}_f"), values, strict=True))

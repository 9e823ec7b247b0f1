"""Precision, recall and F1 of entities: with their types, and of their boundaries alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from spacy.scorer import PRFScore, get_ner_prf
from spacy.training import Example

Scorer = Callable[..., dict[str, Any]]
# First token, last token + 1, label.
Entity = tuple[int, int, str]


def build_mner_scorer() -> Scorer:
    """Build the scorer of `multimodal_ner`; see `score_entities`."""
    return score_entities


def score_entities(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """Score entities exactly, as CoNLL does: a span counts if both ends and its type agree.

    Returns shares in [0, 1]: `ents_p`, `ents_r`, `ents_f` over all types, `ents_per_type`
    (label → p, r, f), and `segmentation_p`, `segmentation_r`, `segmentation_f`, for which the
    type does not matter (the second number of Moon et al. 2018, table 1). All are None where
    nothing is annotated. Spans over missing annotation are neither right nor wrong.
    """
    kept = list(examples)
    return {**get_ner_prf(kept), **_score_segmentation(kept)}


def _score_segmentation(examples: list[Example]) -> dict[str, float | None]:
    score = PRFScore()
    for example in examples:
        if example.reference.has_annotation("ENT_IOB"):
            judged = without_types(judged_entities(example))
            score.score_set(judged, without_types(gold_entities(example)))
    names = ("segmentation_p", "segmentation_r", "segmentation_f")
    if not len(score):
        return dict.fromkeys(names)
    return dict(zip(names, (score.precision, score.recall, score.fscore), strict=True))


def without_types(entities: set[Entity]) -> set[tuple[int, int]]:
    """The boundaries of entities alone: (start, end)."""
    return {(start, end) for start, end, _ in entities}


def gold_entities(example: Example) -> set[Entity]:
    """Annotated (start, end, label) in tokens."""
    return {(entity.start, entity.end, entity.label_) for entity in example.reference.ents}


def judged_entities(example: Example) -> set[Entity]:
    """Predicted (start, end, label) in gold tokens, without those that touch missing annotation."""
    found = set()
    for entity in example.predicted.ents:
        tokens = example.alignment.x2y[entity.start : entity.end]
        if not len(tokens):
            continue
        start, end = int(tokens[0]), int(tokens[-1]) + 1
        if all(token.ent_iob for token in example.reference[start:end]):
            found.add((start, end, entity.label_))
    return found

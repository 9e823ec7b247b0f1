"""Numbers of gold, predicted and correct entities per post, for significance tests."""

from __future__ import annotations

from collections.abc import Sequence

from spacy.training import Example

from .scorer import entities_by_offset, without_labels

# Measure → part → one number per post.
Counts = dict[str, dict[str, list[int]]]
PARTS = ("gold", "predicted", "correct")


def count_entities(examples: Sequence[Example]) -> Counts:
    """Count entities per post, for `types` and for `segmentation`, which ignores the label.

    Their sums give the scores of `score_entities`. A post without annotation counts zero.
    """
    counts: Counts = {
        measure: {part: [] for part in PARTS} for measure in ("types", "segmentation")
    }
    for example in examples:
        gold, found = entities_by_offset(example)
        _add(counts["types"], gold, found)
        _add(counts["segmentation"], without_labels(gold), without_labels(found))
    return counts


def _add(counts: dict[str, list[int]], gold: set, found: set) -> None:
    numbers = (len(gold), len(found), len(gold & found))
    for part, number in zip(PARTS, numbers, strict=True):
        counts[part].append(number)

from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mner.evaluation.counts import count_entities
from spacy_mner.evaluation.scorer import score_entities


@pytest.fixture
def examples():
    vocab = spacy.blank("en").vocab

    def make(gold, found):
        words = ["a"] * len(gold)
        predicted = Doc(vocab, words=words, ents=found)
        return Example(predicted, Doc(vocab, words=words, ents=gold))

    return [
        make(["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "I-PER", "O", "B-ORG"]),
        make(["O", "O"], ["B-LOC", "O"]),
        make(["B-ORG", "O"], ["O", "O"]),
        # What is not annotated is neither right nor wrong.
        make(["B-ORG", None], ["B-ORG", "B-ORG"]),
    ]


def test_entities_are_counted_post_by_post(examples):
    counts = count_entities(examples)
    assert counts["types"] == {
        "gold": [2, 0, 1, 1],
        "predicted": [2, 1, 0, 1],
        "correct": [1, 0, 0, 1],
    }
    assert counts["segmentation"]["correct"] == [2, 0, 0, 1]


def test_the_counts_sum_up_to_the_scores(examples):
    scores = score_entities(examples)
    for measure, prefix in (("types", "ents"), ("segmentation", "segmentation")):
        gold, predicted, correct = map(sum, count_entities(examples)[measure].values())
        assert scores[f"{prefix}_p"] == pytest.approx(correct / predicted)
        assert scores[f"{prefix}_r"] == pytest.approx(correct / gold)
        assert scores[f"{prefix}_f"] == pytest.approx(2 * correct / (gold + predicted))

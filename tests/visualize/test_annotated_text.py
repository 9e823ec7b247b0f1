from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_mner.visualize.annotated_text import Segment, annotate_gold, annotate_prediction

VOCAB = spacy.blank("en").vocab
WORDS = ["Bob", "Dylan", "sings", "in", "New", "York"]
GOLD = ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"]
PARTIAL = ["B-PER", "I-PER", "O", None, None, "O"]


def make_doc(tags, scores=()):
    doc = Doc(VOCAB, words=WORDS, ents=tags)
    for entity, score in zip(doc.ents, scores, strict=False):
        entity._.score = score
    return doc


def entities(annotated):
    return [(one.text, one.kind, one.label) for one in annotated.segments if one.kind]


def compare(tags, gold=GOLD):
    return annotate_prediction(make_doc(tags), make_doc(gold))


@pytest.mark.parametrize("tags", [GOLD, ["O"] * 6, ["B-PER"] * 6, [None] * 6])
def test_segments_concatenate_to_the_text(tags):
    for annotated in (annotate_gold(make_doc(tags)), compare(tags)):
        assert "".join(segment.text for segment in annotated.segments) == " ".join(WORDS)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (GOLD, [("Bob Dylan", "gold", "PER"), ("New York", "gold", "LOC")]),
        (PARTIAL, [("Bob Dylan", "gold", "PER"), ("in New", "unannotated", "")]),
    ],
)
def test_gold_text_shows_entities_and_missing_annotation(tags, expected):
    annotated = annotate_gold(make_doc(tags))
    assert entities(annotated) == expected
    assert annotated.correct is None


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (GOLD, [("Bob Dylan", "correct", "PER"), ("New York", "correct", "LOC")]),
        # Another label, no entity, other boundaries.
        (
            [*GOLD[:4], "B-PER", "I-PER"],
            [("Bob Dylan", "correct", "PER"), ("New York", "wrong", "PER")],
        ),
        ([*GOLD[:4], "O", "O"], [("Bob Dylan", "correct", "PER"), ("New York", "missed", "LOC")]),
        (["O", "B-PER", *"OOOO"], [("Dylan", "wrong", "PER"), ("New York", "missed", "LOC")]),
    ],
)
def test_a_prediction_is_correct_only_if_all_entities_are(tags, expected):
    annotated = compare(tags)
    assert entities(annotated) == expected
    assert annotated.correct is (tags == GOLD)
    assert compare(["O"] * 6, gold=["O"] * 6).correct is True


@pytest.mark.parametrize("gold", [[None] * 6, PARTIAL])
def test_predictions_are_unverified_where_the_annotation_is_incomplete(gold):
    annotated = compare(GOLD, gold)
    assert annotated.correct is None
    assert {segment.kind for segment in annotated.segments} == {"unverified", ""}


def test_predicted_entities_have_numbers_and_scores():
    predicted = make_doc(["O", "O", "B-PER", "O", "B-LOC", "I-LOC"], [0.75, 0.5])
    annotated = annotate_prediction(predicted, make_doc(GOLD))
    numbered = [(one.text, one.entity, one.score) for one in annotated.segments if one.kind]
    assert numbered == [("Bob Dylan", 0, None), ("sings", 1, 0.75), ("New York", 2, 0.5)]
    assert not any(segment.entity for segment in annotate_gold(make_doc(GOLD)).segments)


@pytest.mark.parametrize(
    ("gold", "predicted", "tags", "kind"),
    [
        # The gold Doc is cut at its entity, the tokenizer does not cut: no prediction can match.
        (["thanks ", "@", "Nike"], ["thanks ", "@Nike"], ["O", "B-ORG"], "wrong"),
        (["thanks ", "@", "Nike"], ["thanks ", "@Nike"], ["O", "O"], "missed"),
        (["the ", "#", "NewYork"], ["the ", "#NewYork"], ["O", "B-ORG"], "wrong"),
        (["Paris", "/London"], ["Paris/London"], ["B-ORG"], "wrong"),
        # Other tokens, but the same span.
        (["for ", "Nike"], ["fo", "r ", "Ni", "ke"], ["O", "O", "B-ORG", "I-ORG"], "correct"),
    ],
)
def test_entities_are_compared_by_character_offsets(gold, predicted, tags, kind):
    entity = next(i for i, token in enumerate(gold) if token in ("Nike", "NewYork", "Paris"))
    gold_tags = ["B-ORG" if i == entity else "O" for i in range(len(gold))]
    annotated = annotate_prediction(doc_of(predicted, tags), doc_of(gold, gold_tags))
    assert [one.kind for one in annotated.segments if one.kind] == [kind]
    assert annotated.correct is (kind == "correct")
    assert "".join(one.text for one in annotated.segments) == "".join(gold)
    assert entities(annotate_gold(doc_of(gold, gold_tags))) == [(gold[entity], "gold", "ORG")]


def doc_of(tokens, tags):
    spaces = [token.endswith(" ") for token in tokens]
    return Doc(VOCAB, words=[token.strip() for token in tokens], spaces=spaces, ents=tags)


def test_a_pipeline_may_merge_tokens_and_have_another_vocab():
    merged = make_doc(GOLD)
    with merged.retokenize() as retokenizer:
        retokenizer.merge(merged[4:6])
    other = Doc(spacy.blank("de").vocab, words=WORDS)
    other.set_ents([Span(other, 0, 2, "PER"), Span(other, 4, 6, "LOC")])
    assert all(annotate_prediction(doc, make_doc(GOLD)).correct for doc in (merged, other))


def test_whitespace_within_the_text_is_kept():
    doc = Doc(VOCAB, words=["a", "\n", "b"], spaces=[False, False, False], ents=["O", "O", "B-PER"])
    assert annotate_gold(doc).segments == [Segment("a\n"), Segment("b", "gold", "PER")]

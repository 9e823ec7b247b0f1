from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_mner.visualize.annotated_text import Piece, is_annotated, read_gold, read_prediction

VOCAB = spacy.blank("en").vocab
WORDS = ["Bob", "Dylan", "sings", "in", "New", "York"]
GOLD = ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"]


def a_doc(tags, scores=()):
    doc = Doc(VOCAB, words=WORDS, ents=tags)
    for entity, score in zip(doc.ents, scores, strict=False):
        entity._.score = score
    return doc


def marked(reading):
    return [(piece.text, piece.kind, piece.label) for piece in reading.pieces if piece.kind]


def text_of(reading):
    return "".join(piece.text for piece in reading.pieces)


def test_the_annotation_is_cut_at_its_entities():
    reading = read_gold(a_doc(GOLD))
    assert [piece.text for piece in reading.pieces] == ["Bob Dylan", " sings in ", "New York"]
    assert marked(reading) == [("Bob Dylan", "gold", "PER"), ("New York", "gold", "LOC")]


@pytest.mark.parametrize("tags", [GOLD, ["O"] * 6, ["B-PER"] * 6, [None] * 6])
def test_the_pieces_spell_the_text(tags):
    for reading in (read_gold(a_doc(tags)), read_prediction(a_doc(tags), a_doc(GOLD))):
        assert text_of(reading) == " ".join(WORDS)


def test_a_prediction_is_right_if_every_entity_is():
    reading = read_prediction(a_doc(GOLD, [0.75, 0.5]), a_doc(GOLD))
    assert reading.right is True
    assert [(p.kind, p.score) for p in reading.pieces if p.kind] == [
        ("right", 0.75),
        ("right", 0.5),
    ]


def test_predicted_entities_are_numbered_and_missed_ones_are_not():
    reading = read_prediction(a_doc(["O"] * 2 + ["B-PER", "O", "B-LOC", "I-LOC"]), a_doc(GOLD))
    numbers = [(piece.text, piece.entity) for piece in reading.pieces if piece.kind]
    assert numbers == [("Bob Dylan", 0), ("sings", 1), ("New York", 2)]
    assert not any(piece.entity for piece in read_gold(a_doc(GOLD)).pieces)


def test_one_wrong_entity_is_enough():
    reading = read_prediction(a_doc([*GOLD[:4], "B-PER", "I-PER"]), a_doc(GOLD))
    assert reading.right is False
    assert marked(reading) == [("Bob Dylan", "right", "PER"), ("New York", "wrong", "PER")]


def test_an_entity_that_is_not_found_is_missed():
    reading = read_prediction(a_doc([*GOLD[:4], "O", "O"]), a_doc(GOLD))
    assert marked(reading) == [("Bob Dylan", "right", "PER"), ("New York", "missed", "LOC")]


def test_an_entity_with_other_ends_stands_for_the_one_it_touches():
    reading = read_prediction(a_doc(["O", "B-PER", "O", "O", "O", "O"]), a_doc(GOLD))
    assert marked(reading) == [("Dylan", "wrong", "PER"), ("New York", "missed", "LOC")]


def test_no_entity_is_right_where_there_is_none():
    assert read_prediction(a_doc(["O"] * 6), a_doc(["O"] * 6)).right is True


@pytest.mark.parametrize("tags", [[None] * 6, ["B-PER", "I-PER", "O", None, None, "O"]])
def test_an_incomplete_annotation_judges_nothing(tags):
    assert not is_annotated(a_doc(tags))
    reading = read_prediction(a_doc(GOLD), a_doc(tags))
    assert reading.right is None
    assert {piece.kind for piece in reading.pieces} == {"open", ""}


def test_what_is_not_annotated_is_shown_as_such():
    reading = read_gold(a_doc(["B-PER", "I-PER", "O", None, None, "O"]))
    assert marked(reading) == [("Bob Dylan", "gold", "PER"), ("in New", "unknown", "")]


def test_a_pipeline_may_merge_the_tokens_of_an_entity():
    predicted = a_doc(GOLD)
    with predicted.retokenize() as retokenizer:
        retokenizer.merge(predicted[4:6])
    assert read_prediction(predicted, a_doc(GOLD)).right is True


def test_a_pipeline_of_another_vocab_is_judged_alike():
    other = Doc(spacy.blank("de").vocab, words=WORDS)
    other.set_ents([Span(other, 0, 2, "PER"), Span(other, 4, 6, "LOC")])
    assert read_prediction(other, a_doc(GOLD)).right is True


def test_spaces_inside_the_text_are_kept():
    doc = Doc(VOCAB, words=["a", "\n", "b"], spaces=[False, False, False], ents=["O", "O", "B-PER"])
    assert read_gold(doc).pieces == [Piece("a\n"), Piece("b", "gold", "PER")]

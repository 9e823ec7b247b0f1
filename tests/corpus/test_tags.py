from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from spacy_mner.corpus.tags import Tag, parse_tag, read_entities

texts = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


def read(*texts, orphans="open"):
    return read_entities([parse_tag(text) for text in texts], orphans)


def test_b_opens_and_i_continues():
    assert read("B-PER", "I-PER", "O", "B-LOC").entities == [(0, 2, "PER"), (3, 4, "LOC")]


def test_open_begins_an_entity_at_an_orphan():
    repaired = read("O", "I-PER", "I-PER", "O", orphans="open")
    assert repaired.entities == [(1, 3, "PER")]
    assert (repaired.orphans, repaired.changed) == (1, 1)


def test_drop_removes_an_orphan_and_its_continuation():
    repaired = read("O", "I-PER", "I-PER", "B-PER", orphans="drop")
    assert repaired.entities == [(3, 4, "PER")]
    assert (repaired.orphans, repaired.changed) == (1, 2)


def test_i_of_another_label_after_b_is_an_orphan():
    assert read("B-PER", "I-LOC", orphans="open").entities == [(0, 1, "PER"), (1, 2, "LOC")]
    assert read("B-PER", "I-LOC", orphans="drop").entities == [(0, 1, "PER")]
    assert read("B-PER", "I-LOC", orphans="drop").orphans == 1


def test_i_after_missing_annotation_is_an_orphan():
    repaired = read_entities([None, Tag("I", "PER")], "open")
    assert (repaired.entities, repaired.orphans) == ([(1, 2, "PER")], 1)


@given(st.lists(texts, max_size=12))
def test_open_agrees_with_seqeval(tags):
    expected = [(start, end + 1, label) for label, start, end in get_entities(tags)]
    assert read(*tags, orphans="open").entities == expected


@given(st.lists(texts, max_size=12))
def test_drop_agrees_with_seqeval(tags):
    [entities] = Entities([tags], IOB2).entities if tags else [[]]
    expected = [(entity.start, entity.end, entity.tag) for entity in entities]
    assert read(*tags, orphans="drop").entities == expected


@given(st.text(max_size=8))
def test_any_parsed_text_is_a_bio_tag(text):
    tag = parse_tag(text)
    if tag is not None:
        assert text == "O" or text[:2] in ("B-", "I-")
        assert bool(tag.label) == (text != "O")


def test_tags_of_other_schemes_are_not_parsed():
    assert [parse_tag(text) for text in ("S-PER", "B_PER", "B-", "", "o", "PER")] == [None] * 6

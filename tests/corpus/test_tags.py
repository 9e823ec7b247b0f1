from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from spacy_mner.corpus.tags import Repaired, parse_tag, read_entities

texts = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


def read(*texts, orphans="open"):
    return read_entities([parse_tag(text) for text in texts], orphans)


@pytest.mark.parametrize(
    ("tags", "orphans", "entities", "n_orphans", "changed"),
    [
        (["O", "I-PER", "I-PER", "O"], "open", [(1, 3, "PER")], 1, 1),
        (["O", "I-PER", "I-PER", "B-PER"], "drop", [(3, 4, "PER")], 1, 2),
        (["B-PER", "I-LOC"], "open", [(0, 1, "PER"), (1, 2, "LOC")], 1, 1),
        (["B-PER", "I-LOC"], "drop", [(0, 1, "PER")], 1, 1),
        # Missing annotation ends an entity.
        (["B-PER", "?", "I-PER"], "open", [(0, 1, "PER"), (2, 3, "PER")], 1, 1),
    ],
)
def test_orphans_and_changed_tags_are_counted(tags, orphans, entities, n_orphans, changed):
    assert read(*tags, orphans=orphans) == Repaired(entities, n_orphans, changed)


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

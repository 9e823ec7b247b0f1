from __future__ import annotations

import numpy as np
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_mner.layers.decode import bio_tags
from spacy_mner.models.annotation import Labeling, allowed_tags, entities_of, labels_of

LABELS = ["LOC", "PER"]
TAGS = bio_tags(LABELS)
NLP = spacy.blank("xx")


@st.composite
def valid_tags(draw):
    """A sequence that the BIO constraints allow."""
    tags: list[str] = []
    for _ in range(draw(st.integers(0, 10))):
        previous = tags[-1] if tags else "O"
        choices = ["O", "B-LOC", "B-PER"]
        if previous != "O":
            choices.append(f"I-{previous[2:]}")
        tags.append(draw(st.sampled_from(choices)))
    return tags


def example(tags: list[str]) -> Example:
    words = [f"w{i}" for i in range(len(tags))]
    return Example(Doc(NLP.vocab, words=words), Doc(NLP.vocab, words=words, ents=tags))


@given(valid_tags())
def test_gold_tags_come_back_as_the_entities_of_the_doc(tags):
    eg = example(tags)
    allowed = allowed_tags([eg], LABELS)
    assert (allowed.sum(axis=1) == 1).all()
    assert [TAGS[i] for i in allowed.argmax(axis=1)] == tags
    spans = [(e.start, e.end, LABELS.index(e.label_)) for e in eg.reference.ents]
    assert entities_of(allowed.argmax(axis=1)) == spans


@given(valid_tags())
def test_the_quick_way_agrees_with_spacys_alignment(tags):
    eg = example(tags)
    biluo = eg.get_aligned_ner()
    bio = [t.replace("U-", "B-").replace("L-", "I-") for t in biluo]
    assert [TAGS[i] for i in allowed_tags([eg], LABELS).argmax(axis=1)] == bio


def test_tokens_without_annotation_are_left_open():
    reference = Doc(NLP.vocab, words=["a", "b", "c"])
    reference.set_ents([Span(reference, 0, 1, "PER")], outside=[reference[2:3]], default="missing")
    eg = Example(Doc(NLP.vocab, words=["a", "b", "c"]), reference)
    assert allowed_tags([eg], LABELS).sum(axis=1).tolist() == [1, len(TAGS), 1]


def test_entities_next_to_each_other_stay_two():
    assert entities_of(np.asarray([1, 1, 2, 3])) == [(0, 1, 0), (1, 3, 0), (3, 4, 1)]


def test_a_labeling_replaces_what_the_doc_held():
    doc = Doc(NLP.vocab, words=["a", "b"], ents=["B-LOC", "O"])
    doc._.image_attention = doc._.modality_attention = {"image": np.ones(2)}
    Labeling([(1, 2, "PER", 0.75)], None, "absent").write_to(doc)
    assert [(e.text, e.label_, e._.score) for e in doc.ents] == [("b", "PER", 0.75)]
    assert doc._.image_status == "absent"
    assert (doc._.modality_attention, doc._.image_attention) == (None, None)
    assert doc.has_annotation("ENT_IOB")


def test_white_space_alone_is_no_entity_whatever_the_network_says():
    doc = Doc(NLP.vocab, words=["a", " \n", "\u2003", "b"])
    spans = [(0, 1, "PER", 0.5), (1, 3, "LOC", 0.75), (3, 4, "LOC", 0.25)]
    Labeling(spans, None, "absent").write_to(doc)
    assert [(e.text, e._.score) for e in doc.ents] == [("a", 0.5), ("b", 0.25)]
    assert [token.ent_iob_ for token in doc] == ["B", "O", "O", "B"]


def test_labels_are_the_types_that_occur():
    assert labels_of([example(["B-PER", "O", "B-LOC"]).reference]) == {"LOC", "PER"}

from __future__ import annotations

import pytest
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Span

from label_posts import texts_in, unseen_docs, with_labels

SCORES = {"Oslo": 0.9, "@bob": 0.9, "Rome": 0.3}


@Language.component("names_with_scores")
def names_with_scores(doc):
    """Stands for a trained pipeline: finds the names above, with these probabilities."""
    spans = [Span(doc, t.i, t.i + 1, label="LOC") for t in doc if t.text in SCORES]
    for span in spans:
        span._.score = SCORES[span.text]
    doc.set_ents(spans)
    return doc


@pytest.fixture
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("names_with_scores")
    return nlp


def test_texts_are_read_from_the_training_and_dev_files_of_each_event(tmp_path):
    for event, split, text in [
        ("fire", "train", "a &amp; b"),
        ("fire", "dev", "c"),
        ("flood", "train", "d"),
        ("flood", "test_unlabeled", "e"),
    ]:
        (tmp_path / event).mkdir(exist_ok=True)
        srsly.write_jsonl(tmp_path / event / f"{split}.jsonl", [{"text": text}])
    assert list(texts_in(tmp_path)) == ["a & b", "d", "c"]


def test_each_text_is_a_post_once_unless_it_is_held_out(nlp):
    docs = unseen_docs(nlp, ["In Oslo!", "in oslo", "in Rome", "here"], {"inrome"})
    assert [doc.text for doc in docs] == ["In Oslo!", "here"]


def test_improbable_entities_and_mentions_are_missing_annotation(nlp):
    [doc] = with_labels(nlp, [nlp.make_doc("@bob flies from Rome to Oslo")])
    assert [(e.text, e.label_) for e in doc.ents] == [("Oslo", "LOC")]
    assert {t.text for t in doc if not t.ent_iob} == {"@bob", "Rome"}
    assert doc.text == "@bob flies from Rome to Oslo"
    assert not doc.user_data, "scores of the labels are no part of the corpus"

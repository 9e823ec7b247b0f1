from __future__ import annotations

import logging

import pytest
import spacy
from spacy.util import registry

from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.errors import UsageError

NLP = spacy.blank("en")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "btc.txt"
    path.write_text("Ann\tB-person\nsang\tO\n\nin\tO\nOslo\tB-LOC\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_annotated_labels_survive_conversions_and_are_renamed(source, tmp_path, suffix):
    between, end = tmp_path / f"a{suffix}", tmp_path / "b.spacy"
    options = Options(annotates=["PER", "LOC"], rename={"person": "PER"})
    summary = convert(source, between, options)
    assert summary.annotated_labels == {"LOC, PER": 2}
    convert(between, end, Options(rename={"PER": "PERSON", "LOC": ""}))
    docs = list(read_docs(end, NLP.vocab))
    assert [list(doc._.annotated_labels) for doc in docs] == [["PERSON"], ["PERSON"]]
    assert [[entity.label_ for entity in doc.ents] for doc in docs] == [["PERSON"], []]


def test_a_corpus_annotates_all_labels_by_default(source, tmp_path):
    assert convert(source, tmp_path / "a.spacy").annotated_labels == {"all labels": 2}
    assert all(d._.annotated_labels is None for d in read_docs(tmp_path / "a.spacy", NLP.vocab))


def test_a_span_with_a_label_that_is_not_annotated_is_refused(source, tmp_path):
    with pytest.raises(UsageError, match=r"person.*--map"):
        convert(source, tmp_path / "a.spacy", Options(annotates=["PER", "LOC"]))
    assert not (tmp_path / "a.spacy").exists()


def test_the_reader_logs_the_annotated_labels(source, tmp_path, caplog):
    convert(source, tmp_path / "a.spacy", Options(annotates=["person", "LOC"]))
    reader = registry.readers.get("spacy_mner.MultimodalCorpus.v1")(tmp_path / "a.spacy")
    with caplog.at_level(logging.INFO, logger="spacy"):
        for _ in range(2):
            list(reader(NLP))
    assert caplog.text.count("2 posts annotated with LOC, person") == 1

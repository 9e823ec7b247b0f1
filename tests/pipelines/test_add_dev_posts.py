from __future__ import annotations

from add_dev_posts import add_dev_posts
from spacy_mner.corpus.docbin import read_docs

from .test_drop_seen_posts import VOCAB, write_posts


def test_dev_posts_follow_the_training_posts_unless_they_are_test_posts(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    write_posts(source / "one.train.spacy", ["in Oslo", "in Rome"])
    write_posts(source / "one.dev.spacy", ["in Paris", "In BERLIN !", "..."])
    write_posts(source / "other.test.spacy", ["in Berlin", "in Oslo"])
    assert list(add_dev_posts(source, target)) == [("one.train.spacy", 2, 4)]
    merged = [doc.text.strip() for doc in read_docs(target / "one.train.spacy", VOCAB)]
    assert merged == ["in Oslo", "in Rome", "in Paris", "..."]

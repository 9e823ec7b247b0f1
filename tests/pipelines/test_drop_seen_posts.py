from __future__ import annotations

import spacy
from spacy.tokens import Doc

from drop_seen_posts import drop_seen_posts
from spacy_mner.corpus.docbin import read_docs, write_docs

VOCAB = spacy.blank("en").vocab


def write_posts(path, posts):
    write_docs([Doc(VOCAB, words=post.split()) for post in posts], path)


def test_training_posts_with_the_letters_of_a_dev_or_test_post_are_removed(tmp_path):
    held_out, target = tmp_path / "held_out", tmp_path / "target"
    train = ["HELLO, Oslo!!", "hello Oslo 2", "Straße", "same", "!!!"]
    write_posts(tmp_path / "all" / "one.train.spacy", train)
    write_posts(tmp_path / "all" / "two.train.spacy", ["hello", "oslo"])
    write_posts(held_out / "one.dev.spacy", ["hello oslo :)", "..."])
    write_posts(held_out / "other.test.spacy", ["STRASSE", "s a m e"])
    counts = list(drop_seen_posts(tmp_path / "all", held_out, target))
    assert counts == [("one.train.spacy", 5, 2), ("two.train.spacy", 2, 2)]
    kept = [doc.text.strip() for doc in read_docs(target / "one.train.spacy", VOCAB)]
    assert kept == ["hello Oslo 2", "!!!"]

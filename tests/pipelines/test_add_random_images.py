from __future__ import annotations

import spacy
import srsly
from spacy.tokens import Doc

from add_random_images import add_random_images, image_names
from spacy_mner.corpus.docbin import read_docs, write_docs

VOCAB = spacy.blank("en").vocab


def test_every_training_post_receives_one_of_the_images(tmp_path):
    srsly.write_jsonl(
        tmp_path / "posts.jsonl", [{"image": "b.png"}, {"image": None}, {"image": "a.png"}]
    )
    images = image_names(tmp_path / "posts.jsonl")
    assert images == ["a.png", "b.png"]
    words = [str(i) for i in range(20)]
    write_docs([Doc(VOCAB, words=[w]) for w in words], tmp_path / "in" / "one.train.spacy")
    add_random_images(tmp_path / "in", tmp_path / "out", images)
    docs = list(read_docs(tmp_path / "out" / "one.train.spacy", VOCAB))
    assert [doc.text.strip() for doc in docs] == words
    assert {doc._.image for doc in docs} == {"a.png", "b.png"}

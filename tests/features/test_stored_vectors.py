from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.vectors import Vectors

from spacy_mner.features import StoredVectorsFeaturizer
from spacy_mner.features.batch import PostBatch
from spacy_mner.features.stored_vectors import read_vectors

from .posts import initialize

WORDS = ["the", "paris", "Paris", "obama"]


@pytest.fixture
def nlp() -> Language:
    nlp = spacy.blank("en")
    keys = [nlp.vocab.strings.add(word) for word in WORDS]
    data = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=data, keys=keys)
    return nlp


@pytest.fixture
def folder(nlp: Language, tmp_path: Path) -> str:
    nlp.to_disk(tmp_path / "vectors")
    return str(tmp_path / "vectors")


def test_the_first_words_of_the_table_are_read_in_order(nlp, folder):
    words, vectors = read_vectors(folder, max_words=3)
    assert words == WORDS[:3]
    np.testing.assert_array_equal(vectors, nlp.vocab.vectors.data[:3])


@pytest.mark.parametrize("source", ["no path", "no vectors", "floret"])
def test_a_source_without_a_vector_per_word_is_refused(tmp_path, source):
    nlp = spacy.blank("en")
    if source == "floret":
        nlp.vocab.vectors = Vectors(
            data=np.ones((4, 2), np.float32), mode="floret", minn=1, maxn=2, hash_count=1
        )
    nlp.to_disk(tmp_path)
    with pytest.raises(ValueError, match="StoredVectors"):
        read_vectors(None if source == "no path" else str(tmp_path), max_words=3)


def test_a_word_has_the_row_of_its_spelling_else_of_its_lower_case(folder):
    nlp = spacy.blank("en")  # without vectors: those of the folder are used
    featurizer = StoredVectorsFeaturizer(folder, max_words=10, finetune=True)
    initialize(featurizer, nlp.make_doc("new NEW x @y @y"))
    assert featurizer.dims() == {"dim": 6, "n_stored": 4, "n_words": 1}
    batch = PostBatch.from_docs([nlp.make_doc("PARIS Paris new x")])
    features = featurizer(batch)
    assert features["stored_row"][features["token"]].tolist() == [2, 3, 0, 0]
    assert features["row"][features["token"]].tolist() == [0, 0, 1, 0]


def test_the_state_replaces_the_vectors(folder):
    nlp = spacy.blank("en")
    one = StoredVectorsFeaturizer(folder, max_words=10, finetune=True)
    initialize(one, nlp.make_doc("the the"))
    two = StoredVectorsFeaturizer("no such folder", max_words=10, finetune=True)
    two.state = one.state
    batch = PostBatch.from_docs([nlp.make_doc("The Obama x")])
    assert two.dims() == one.dims()
    for name, array in one(batch).items():
        np.testing.assert_array_equal(two(batch)[name], array)

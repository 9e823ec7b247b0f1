from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.vectors import Vectors

from spacy_mner.features import WordFeaturizer
from spacy_mner.features.batch import PostBatch
from spacy_mner.features.word_vectors import describe_vectors

from .posts import initialize


@pytest.fixture
def nlp() -> Language:
    """A pipeline with vectors for "obama", "Paris" and "paris"."""
    nlp = spacy.blank("en")
    data = np.arange(9, dtype=np.float32).reshape(3, 3)
    keys = [nlp.vocab.strings.add(word) for word in ("obama", "Paris", "paris")]
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=data, keys=keys)
    return nlp


def featurize(featurizer: WordFeaturizer, nlp: Language, text: str, *names: str) -> dict[str, Any]:
    """The features of each word, by default its vector and whether it has one."""
    batch = PostBatch.from_docs([nlp.make_doc(text)])
    features = featurizer(batch)
    rows = zip(*(features[name].tolist() for name in names or ("vectors", "known")), strict=True)
    return dict(zip(batch.words, rows, strict=True))


def initialized(featurizer: WordFeaturizer, nlp: Language, *texts: str) -> WordFeaturizer:
    return initialize(featurizer, *map(nlp.make_doc, texts or ("x",)))


def test_a_word_is_looked_up_as_written_then_in_lower_case(nlp):
    found = featurize(initialized(WordFeaturizer(), nlp), nlp, "Obama Paris paris PARIS nobody")
    assert found["Obama"] == ([0, 1, 2], True)
    assert found["Paris"] == ([3, 4, 5], True)
    assert found["paris"] == found["PARIS"] == ([6, 7, 8], True)
    assert found["nobody"] == ([0, 0, 0], False)


def test_without_vectors_a_vocabulary_is_learned_from_training_posts(caplog):
    nlp = spacy.blank("en")
    with caplog.at_level(logging.INFO, logger="spacy"):
        featurizer = initialized(WordFeaturizer(), nlp, "a b a", "b once")
    assert "no word vectors" in caplog.text
    assert featurizer.dims() == {"dim": 0, "n_words": 2}
    rows = featurize(featurizer, nlp, "a b once never", "row")
    assert rows["a"] != rows["b"]
    assert rows["once"] == rows["never"] == (0,)


def test_fine_tuning_assigns_rows_to_lower_cased_words_with_two_occurrences(nlp):
    assert initialized(WordFeaturizer(), nlp, "obama Obama").dims() == {"dim": 3, "n_words": 0}
    featurizer = initialized(WordFeaturizer(finetune=True), nlp, "Obama at", "At obama once")
    assert featurizer.dims() == {"dim": 3, "n_words": 2}
    rows = featurize(featurizer, nlp, "OBAMA obama at once Paris", "row")
    assert rows["OBAMA"] == rows["obama"] > (0,)
    assert rows["at"] > (0,)
    assert rows["once"] == rows["Paris"] == (0,)


def test_vectors_other_than_those_of_training_raise(nlp):
    featurizer = initialized(WordFeaturizer(), nlp)
    nlp.vocab.vectors = Vectors(data=np.ones((1, 5), np.float32), keys=["a"])
    with pytest.raises(ValueError, match=r"with word vectors 3 x 3 .* has word vectors 1 x 5"):
        featurize(featurizer, nlp, "a")


def test_the_description_of_vectors_depends_on_words_and_values_but_not_on_key_order(nlp):
    def describe(words: tuple[str, ...], rows: list[int], data: np.ndarray) -> str:
        table = Vectors(strings=nlp.vocab.strings, data=data)
        for word, row in zip(words, rows, strict=True):
            table.add(word, row=row)
        return describe_vectors(table)

    data, words = nlp.vocab.vectors.data, ("obama", "Paris", "paris")
    expected = describe_vectors(nlp.vocab.vectors)
    assert describe(words, [0, 1, 2], data) == describe(words[::-1], [2, 1, 0], data) == expected
    others = [
        describe(words[::-1], [0, 1, 2], data),
        describe(words[:2], [0, 1], data),
        describe(words, [0, 1, 2], data + 1e-6),
        describe(words, [0, 1, 2], data.astype(np.float64)),
    ]
    assert len({*others, expected}) == 5


def test_floret_vectors_have_no_unknown_words():
    nlp = spacy.blank("en")
    nlp.vocab.vectors = Vectors(
        strings=nlp.vocab.strings,
        data=np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32),
        mode="floret",
        minn=2,
        maxn=3,
        hash_count=2,
        hash_seed=1,
        bow="<",
        eow=">",
    )
    found = featurize(initialized(WordFeaturizer(), nlp), nlp, "anything goes")
    for word, (vector, is_known) in found.items():
        assert is_known
        np.testing.assert_allclose(vector, nlp.vocab[word].vector, rtol=1e-5)

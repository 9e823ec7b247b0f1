from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.vectors import Vectors

from spacy_mner.features import AugmentationFeaturizer
from spacy_mner.features import nearest_rows as nearest_module
from spacy_mner.features.batch import PostBatch
from spacy_mner.features.nearest_rows import NONE, NearestRows

from .posts import initialize


def pipeline(data: np.ndarray, rows: dict[str, int]) -> Language:
    """A blank pipeline whose words point to rows of a table."""
    nlp = spacy.blank("en")
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=data.astype(np.float32))
    for word, row in rows.items():
        nlp.vocab.vectors.add(word, row=row)
    return nlp


def table_of(data: np.ndarray) -> Vectors:
    return Vectors(data=data, keys=np.arange(1, len(data) + 1, dtype=np.uint64))


@pytest.fixture
def nlp() -> Language:
    """At these angles: "cat" 0, "dog" 10, "Paris" 80, "paris" 85; "cats" is "cat", "nil" zeros."""
    angles = np.radians([0, 10, 80, 85])
    data = np.zeros((5, 2))
    data[:4] = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [9], [0.1], [3]]
    return pipeline(data, {"cat": 0, "cats": 0, "dog": 1, "Paris": 2, "paris": 3, "nil": 4})


def initialized(nlp: Language, *texts: str, n: int = 2) -> AugmentationFeaturizer:
    return initialize(AugmentationFeaturizer(n=n), *map(nlp.make_doc, texts or ("x",)))


def featurize(featurizer: AugmentationFeaturizer, nlp: Language, text: str) -> dict[str, dict]:
    batch = PostBatch.from_docs([nlp.make_doc(text)])
    features = featurizer(batch)
    return {
        word: {name: features[name][i] for name in ("vectors", "similarity", "available")}
        for i, word in enumerate(batch.words)
    }


def brute_force(data: np.ndarray, row: int, n: int) -> list[int]:
    """The nearest rows by cosine in double precision, equal cosines ordered by row."""
    data = data.astype(np.float64)
    norms = np.linalg.norm(data, axis=1)
    cosines = data @ data[row] / np.where(norms > 0, norms, 1) / norms[row]
    others = [other for other in range(len(data)) if other != row and norms[other] > 0]
    return sorted(others, key=lambda other: (-cosines[other], other))[:n]


@pytest.mark.parametrize(
    ("word", "rows", "angles"),
    [
        ("cat", [1, 2], [10, 80]),
        ("cats", [1, 2], [10, 80]),  # it shares its row with "cat", so that they are one word
        ("dog", [0, 2], [10, 70]),
        ("DOG", [0, 2], [10, 70]),  # as in lower case
        ("Paris", [3, 1], [5, 70]),  # as written
        ("PARIS", [2, 1], [5, 75]),
        ("nobody", [], []),
        ("nil", [], []),  # zeros
    ],
)
def test_neighbors_of_a_word_are_sorted_by_cosine_and_are_other_words(nlp, word, rows, angles):
    found = featurize(initialized(nlp), nlp, word)[word]
    assert found["available"].tolist() == [bool(rows)] * 2
    vectors = nlp.vocab.vectors.data[rows] if rows else np.zeros((2, 2))
    np.testing.assert_array_equal(found["vectors"], vectors)
    cosines = np.cos(np.radians(angles)) if rows else np.zeros(2)
    np.testing.assert_allclose(found["similarity"], cosines, rtol=1e-5)


def test_zero_vectors_and_rows_without_a_word_are_not_neighbors(nlp):
    nlp.vocab.vectors.resize((6, 2))
    nlp.vocab.vectors.data[5] = (1, 0.01)
    found = featurize(initialized(nlp, n=5), nlp, "cat")["cat"]
    assert found["available"].tolist() == [True, True, True, False, False]
    np.testing.assert_array_equal(found["vectors"][:3], nlp.vocab.vectors.data[1:4])
    assert not found["vectors"][3:].any()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_the_search_agrees_with_brute_force(dtype, monkeypatch):
    for name, value in {"_CHUNK_SCORES": 1000, "_MAX_QUERIES": 7, "_MAX_PAIRS": 5}.items():
        monkeypatch.setattr(nearest_module, name, value)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(600, 12)) * rng.lognormal(0, 3, size=(600, 1))
    data = (data / np.abs(data).max()).astype(dtype)
    data[::50] = 0
    rows = np.arange(0, 600, 13)
    found = NearestRows(table_of(data), 4).find(rows)
    for row, neighbors in zip(rows, found, strict=True):
        expected = brute_force(data, row, 4) if data[row].any() else [NONE] * 4
        assert neighbors.tolist() == expected


def test_cosines_are_compared_in_double_precision():
    rng = np.random.default_rng(1)
    direction = rng.normal(size=50)
    data = (direction + 1e-4 * rng.normal(size=(300, 50))).astype(np.float64)
    rows = np.arange(20)
    found = NearestRows(table_of(data), 3).find(rows)
    assert found.tolist() == [brute_force(data, row, 3) for row in rows]


def test_equal_cosines_are_ordered_by_row():
    data = np.ones((90, 7), dtype=np.float32) * np.float32(0.3)
    found = NearestRows(table_of(data), 3).find(np.array([0, 1, 60]))
    assert found.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 2]]


def test_neighbors_are_independent_of_the_batch():
    data = np.random.default_rng(2).normal(size=(500, 20)).astype(np.float32).round(1)
    rows = np.arange(100)
    together = NearestRows(table_of(data), 4).find(rows)
    one_by_one = NearestRows(table_of(data), 4)
    assert [one_by_one.find(rows[i : i + 1])[0].tolist() for i in rows] == together.tolist()


def count_searches(monkeypatch) -> list[list[int]]:
    searched: list[list[int]] = []
    search = NearestRows._search

    def counted(self, rows):
        searched.append(rows.tolist())
        return search(self, rows)

    monkeypatch.setattr(NearestRows, "_search", counted)
    return searched


def test_the_neighbors_of_a_word_are_computed_once(nlp, monkeypatch):
    featurizer = initialized(nlp, "cat Paris")
    searched = count_searches(monkeypatch)
    for text in ("CAT cats Paris", "dog nobody", "dog DOG"):
        featurize(featurizer, nlp, text)
    assert searched == [[1]]


def test_the_neighbors_of_training_words_are_saved(nlp, monkeypatch):
    featurizer = initialized(nlp, "cat Paris nobody nil")
    featurize(featurizer, nlp, "dog")
    again = AugmentationFeaturizer(n=2)
    again.state = json.loads(json.dumps(featurizer.state))
    searched = count_searches(monkeypatch)
    expected, found = (featurize(one, nlp, "cat Paris dog") for one in (featurizer, again))
    for word, features in expected.items():
        for name, values in features.items():
            np.testing.assert_array_equal(found[word][name], values)
    assert searched == [[1]]
    assert again.state == initialized(nlp, "cat Paris").state | {
        "rows": [0, 2, 4],
        "neighbors": [*initialized(nlp, "cat Paris").state["neighbors"], [NONE, NONE]],
    }


def test_pickling_leaves_the_vectors_out(nlp):
    featurizer = initialized(nlp, "cat")
    again = pickle.loads(pickle.dumps(featurizer))
    assert again._nearest is None
    np.testing.assert_array_equal(
        featurize(again, nlp, "cat")["cat"]["vectors"], nlp.vocab.vectors.data[[1, 2]]
    )


def test_a_batch_without_tokens_has_no_neighbors(nlp):
    features = initialized(nlp)(PostBatch.from_docs([nlp.make_doc("")]))
    assert features["vectors"].shape == (0, 2, 2) and features["available"].shape == (0, 2)


def test_vectors_other_than_those_of_training_raise(nlp):
    featurizer, again = initialized(nlp, "cat"), AugmentationFeaturizer(n=2)
    again.state = featurizer.state
    nlp.vocab.vectors.data = nlp.vocab.vectors.data[::-1].copy()
    for one in (featurizer, again):
        with pytest.raises(ValueError, match=r"trained with word vectors 5 x 2 .* the vocab has"):
            featurize(one, nlp, "cat")


def test_initialization_can_be_repeated_with_other_vectors(nlp):
    featurizer = initialized(nlp, "cat dog")
    other = pipeline(np.eye(3), {"cat": 2, "dog": 1, "bird": 0})
    initialize(featurizer, other.make_doc("cat"))
    assert featurizer.dims() == {"dim": 3}
    assert featurizer.state["rows"] == [2]
    found = featurize(featurizer, other, "cat")["cat"]
    np.testing.assert_array_equal(found["vectors"], np.eye(3)[:2])


def test_a_vocab_without_vectors_or_with_floret_vectors_raises():
    nlp = spacy.blank("en")
    with pytest.raises(ValueError, match=r"\[initialize\] vectors"):
        initialized(nlp)
    nlp.vocab.vectors = Vectors(
        strings=nlp.vocab.strings, data=np.ones((9, 4)), mode="floret", hash_count=1
    )
    with pytest.raises(ValueError, match="floret"):
        initialized(nlp)


def test_n_below_one_or_other_than_in_the_state_raises(nlp):
    with pytest.raises(ValueError, match="n must be"):
        AugmentationFeaturizer(n=0)
    with pytest.raises(ValueError, match="2 neighbors per word, but the config has n = 3"):
        AugmentationFeaturizer(n=3).state = initialized(nlp, "cat").state

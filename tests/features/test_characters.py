from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.features import CharacterFeaturizer
from spacy_mner.features.batch import PostBatch

from .posts import initialize

NLP = spacy.blank("xx")


def initialized(*words: str, max_characters: int = 40) -> CharacterFeaturizer:
    featurizer = CharacterFeaturizer(max_characters=max_characters)
    return initialize(featurizer, Doc(NLP.vocab, words=list(words)))


def character_ids(featurizer: CharacterFeaturizer, *words: str) -> dict[str, list[int]]:
    batch = PostBatch.from_docs([Doc(NLP.vocab, words=list(words))])
    features = featurizer(batch)
    rows = zip(features["characters"].tolist(), features["lengths"].tolist(), strict=True)
    return {w: row[:n] for w, (row, n) in zip(batch.words, rows, strict=True)}


@given(st.lists(st.text(min_size=1, max_size=50), min_size=1, max_size=6))
def test_words_are_mapped_to_character_ids_and_padded_with_zeros(words):
    featurizer = initialized(*words, *words)
    batch = PostBatch.from_docs([Doc(NLP.vocab, words=words)])
    features = featurizer(batch)
    letters = {i: c for c, i in featurizer.ids.items()}
    for word, row, n in zip(batch.words, features["characters"], features["lengths"], strict=True):
        shown = word if len(word) <= 40 else word[:20] + word[-20:]
        assert "".join(letters[i] for i in row[:n]) == shown
        assert not row[n:].any()


def test_characters_seen_once_are_unknown_unless_ascii():
    featurizer = initialized("🎸", "éé")
    ids = character_ids(featurizer, "🎸", "é", "Z")
    assert ids["🎸"] == [1]
    assert ids["é"] != [1] != ids["Z"]


def test_long_tokens_are_truncated_to_both_ends():
    ids = character_ids(initialized(max_characters=4), "abXXXcd", "abcd")
    assert ids["abXXXcd"] == ids["abcd"]


def test_an_empty_batch_has_no_rows():
    batch = PostBatch.from_docs([Doc(NLP.vocab)])
    assert initialized("a")(batch)["characters"].shape == (0, 0)


def test_the_alphabet_is_its_state():
    featurizer, other = initialized("éé"), CharacterFeaturizer()
    other.state = featurizer.state
    assert other.ids == featurizer.ids and other.dims() == featurizer.dims()


def test_max_characters_below_two_raises():
    with pytest.raises(ValueError, match="max_characters"):
        CharacterFeaturizer(max_characters=1)

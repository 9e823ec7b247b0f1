from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.features import CharacterFeaturizer
from spacy_mner.features.batch import PostBatch

NLP = spacy.blank("xx")


def settled(*words: str, max_characters: int = 40) -> CharacterFeaturizer:
    featurizer = CharacterFeaturizer(max_characters=max_characters)
    if words:
        featurizer.update_vocab(Doc(NLP.vocab, words=list(words)), None)
    featurizer.finalize()
    return featurizer


def spell(featurizer: CharacterFeaturizer, *words: str) -> dict[str, list[int]]:
    batch = PostBatch.from_docs([Doc(NLP.vocab, words=list(words))])
    features = featurizer(batch)
    rows = zip(features["characters"].tolist(), features["lengths"].tolist(), strict=True)
    return {w: row[:n] for w, (row, n) in zip(batch.words, rows, strict=True)}


@given(st.lists(st.text(min_size=1, max_size=50), min_size=1, max_size=6))
def test_words_are_spelled_in_the_alphabet_and_padded_with_zeros(words):
    featurizer = settled(*words, *words)
    batch = PostBatch.from_docs([Doc(NLP.vocab, words=words)])
    features = featurizer(batch)
    letters = {i: c for c, i in featurizer.ids.items()}
    for word, row, n in zip(batch.words, features["characters"], features["lengths"], strict=True):
        shown = word if len(word) <= 40 else word[:20] + word[-20:]
        assert "".join(letters[i] for i in row[:n]) == shown
        assert not row[n:].any()


def test_a_character_seen_once_is_unknown_and_ascii_is_always_known():
    featurizer = settled("🎸", "éé")
    spelled = spell(featurizer, "🎸", "é", "Z")
    assert spelled["🎸"] == [1]
    assert spelled["é"] != [1] != spelled["Z"]


def test_of_a_long_token_the_ends_are_read():
    featurizer = settled(max_characters=4)
    assert spell(featurizer, "abXXXcd")["abXXXcd"] == spell(featurizer, "abcd")["abcd"]


def test_no_words_are_no_rows():
    batch = PostBatch.from_docs([Doc(NLP.vocab)])
    assert settled("a")(batch)["characters"].shape == (0, 0)


def test_the_alphabet_is_its_state():
    featurizer, other = settled("éé"), CharacterFeaturizer()
    other.state = featurizer.state
    assert other.ids == featurizer.ids and other.dims() == featurizer.dims()


def test_a_limit_below_two_is_refused():
    with pytest.raises(ValueError, match="max_characters"):
        CharacterFeaturizer(max_characters=1)

"""A model belongs to the word vectors that it was trained with."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import spacy

from spacy_mner.errors import LoadingError

from ...conftest import make_doc
from .pipelines import KEYS, NAME, answers, floret, set_vectors, table


@pytest.mark.parametrize(
    "vectors, found",
    [
        (table(seed=1), "word vectors 8 x 6"),
        (table(keys=KEYS[::-1]), "word vectors 8 x 6"),
        (table(width=7), "word vectors 8 x 7"),
        (floret(), "word vectors 8 x 6 .floret"),
        ({"shape": (0, 0)}, "no word vectors"),
    ],
    ids=["other numbers", "other rows", "another width", "floret", "none"],
)
def test_other_word_vectors_are_refused(damaged, vectors, found):
    other = spacy.blank("en")
    set_vectors(other.vocab, vectors)
    other.vocab.to_disk(damaged / "vocab")
    with pytest.raises(LoadingError, match=f"trained on word vectors 8 x 6 .* {found}.* is loaded"):
        spacy.load(damaged)


def test_a_damaged_table_of_vectors_is_refused(damaged):
    path = damaged / "vocab" / "vectors"
    content = bytearray(path.read_bytes())
    content[-7] ^= 4
    path.write_bytes(content)
    with pytest.raises(LoadingError, match="trained on word vectors"):
        spacy.load(damaged)


def test_a_model_without_vectors_loads_into_a_vocab_with_vectors(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    other = spacy.blank("en")
    set_vectors(other.vocab, table())
    other.vocab.to_disk(tmp_path / "model" / "vocab")
    assert answers(spacy.load(tmp_path / "model")) == answers(trained)


def test_a_pipeline_that_shares_the_vocab_of_another_is_saved_without_it(saved, tmp_path):
    nlp = spacy.load(saved)
    nlp.to_disk(tmp_path / "light", exclude=["vocab"])
    assert answers(spacy.load(tmp_path / "light", vocab=nlp.vocab)) == answers(nlp)
    with pytest.raises(LoadingError, match="no word vectors is loaded"):
        spacy.load(tmp_path / "light")


@pytest.mark.filterwarnings("ignore:.*W113")
def test_a_sourced_component_raises_with_other_vectors(saved):
    equal, other = spacy.blank("en"), spacy.blank("en")
    set_vectors(equal.vocab, table())
    equal.add_pipe(NAME, source=spacy.load(saved))
    assert answers(equal) == answers(spacy.load(saved))
    set_vectors(other.vocab, table(seed=1))
    other.add_pipe(NAME, source=spacy.load(saved))
    with pytest.raises(ValueError, match="trained with word vectors 8 x 6"):
        other("hi Bob")


@pytest.mark.filterwarnings("ignore:.*W113")
def test_a_component_sourced_in_a_config_requires_its_vectors(saved):
    config = {"nlp": {"pipeline": [NAME]}, "components": {NAME: {"source": str(saved)}}}
    nlp = spacy.util.load_model_from_config(
        spacy.util.load_config_from_str(spacy.blank("en").config.to_str()).merge(config),
        auto_fill=True,
    )
    with pytest.raises(ValueError, match="the vocab has no word vectors"):
        nlp("hi Bob")
    set_vectors(nlp.vocab, table())
    assert answers(nlp) == answers(spacy.load(saved))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_copy_of_the_component_requires_its_vectors(saved, again: Callable):
    nlp = spacy.load(saved)
    component = again(nlp.get_pipe(NAME))
    component(make_doc(nlp, ["hi", "Bob"]))
    other = spacy.blank("en")
    set_vectors(other.vocab, table(seed=1))
    with pytest.raises(ValueError, match="trained with word vectors 8 x 6"):
        component(make_doc(other, ["hi", "Bob"]))

"""A `transformer` component of spaCy that we share with others through a listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.training import Example

from spacy_mner.optimizer import build_adamw

from .conftest import examples_of, gold_docs, make_doc, train
from .encoders import write_bert

pytest.importorskip("spacy_transformers")

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
    "upstream": "transformer",
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture
def shared(small_model: dict[str, Any], bert: Path) -> Language:
    """A transformer that our component and spaCy's own `ner` listen to."""
    nlp = spacy.blank("en")
    transformer = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": str(bert),
        "get_spans": {
            "@span_getters": "spacy-transformers.strided_spans.v1",
            "window": 32,
            "stride": 24,
        },
        "tokenizer_config": {"use_fast": True},
    }
    nlp.add_pipe("transformer", config={"model": transformer})
    ner = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 16,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": LISTENER,
    }
    nlp.add_pipe("ner", config={"model": ner})
    embed = {"char": small_model["embed"]["char"]}
    model = {**small_model, "embed": embed, "tok2vec": LISTENER, "tok2vec_width": 16}
    nlp.add_pipe("multimodal_ner", config={"model": model})
    return nlp


def posts(nlp: Language) -> list[Example]:
    return examples_of(gold_docs(nlp))


def weights(nlp: Language) -> dict[str, torch.Tensor]:
    (shim,) = [shim for node in nlp.get_pipe("transformer").model.walk() for shim in node.shims]
    return {name: value.clone() for name, value in shim._model.state_dict().items()}


def differ(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in one)


def scores(nlp: Language) -> list[float]:
    doc = nlp(make_doc(nlp, ["hi", "Bob", "Dylan", "ram"]))
    return [entity._.score for entity in doc.ents if entity._.score is not None]


@contextmanager
def hidden(folder: Path) -> Iterator[None]:
    """A folder that is not where it was."""
    elsewhere = folder.rename(folder.with_name("hidden"))
    try:
        yield
    finally:
        elsewhere.rename(folder)


def test_it_trains_the_transformer_and_so_does_a_component_beside_it(shared):
    train(shared, posts(shared), steps=3)
    for alone, others in (("multimodal_ner", ["ner"]), ("ner", ["multimodal_ner"])):
        before = weights(shared)
        losses: dict[str, float] = {}
        shared.update(posts(shared), sgd=shared.create_optimizer(), exclude=others, losses=losses)
        assert losses[alone] > 0 and differ(before, weights(shared))


@pytest.mark.parametrize(("rate", "moves"), [(0.0, False), (1e-4, True)])
def test_our_optimizer_gives_the_transformer_the_learning_rate_of_encoders(shared, rate, moves):
    shared.remove_pipe("ner")
    train(shared, posts(shared), steps=1)  # spacy-transformers begins to learn in the second step
    before = weights(shared)
    ours = shared.get_pipe("multimodal_ner").model.shims[0].network
    others = {name: value.clone() for name, value in ours.state_dict().items()}
    shared.update(posts(shared), sgd=build_adamw(0.01, encoder_learn_rate=rate, weight_decay=0.0))
    after = weights(shared)
    furthest = max((after[n] - before[n]).abs().max().item() for n in before)
    assert furthest == pytest.approx(rate, rel=1e-2, abs=0) if moves else furthest == 0.0
    assert differ(others, ours.state_dict())


def test_a_frozen_transformer_does_not_move(shared):
    shared.initialize(lambda: posts(shared))
    before = weights(shared)
    shared.update(
        posts(shared),
        sgd=shared.create_optimizer(),
        exclude=["transformer"],
        annotates=["transformer"],
    )
    assert not differ(before, weights(shared))


def test_replaced_listeners_answer_the_same_also_from_disk_and_without_the_encoder(
    shared, tmp_path, bert
):
    train(shared, posts(shared), steps=40)
    shared.remove_pipe("ner")
    expected = scores(shared)
    assert expected
    shared.replace_listeners("transformer", "multimodal_ner", ["model.tok2vec"])
    shared.remove_pipe("transformer")
    assert scores(shared) == pytest.approx(expected, abs=1e-4)
    shared.to_disk(tmp_path / "model")
    with hidden(bert):
        assert scores(spacy.load(tmp_path / "model")) == pytest.approx(expected, abs=1e-4)


def test_a_pipeline_with_a_transformer_survives_the_disk_without_the_encoder(
    shared, tmp_path, bert
):
    train(shared, posts(shared), steps=40)
    expected = scores(shared)
    assert expected
    shared.to_disk(tmp_path / "model")
    with hidden(bert):
        assert scores(spacy.load(tmp_path / "model")) == pytest.approx(expected, abs=1e-4)

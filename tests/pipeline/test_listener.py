"""A `transformer` component of spaCy that we share with others through a listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.training import Example
from thinc.api import Adam

from spacy_mner.training.optimizers import AdamW

from ..conftest import (
    accumulated_gradients,
    disable_dropout,
    examples_of,
    gold_docs,
    make_doc,
    train,
)
from ..encoders import write_bert

pytest.importorskip("spacy_transformers")

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
    "upstream": "transformer",
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return write_bert(tmp_path_factory.mktemp("encoder") / "bert", **rates)


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


def encoder(nlp: Language) -> torch.nn.Module:
    """The torch transformer of a pipeline, shared or not."""
    nodes = [node for _, pipe in nlp.pipeline for node in pipe.model.walk()]
    (shim,) = [s for node in nodes for s in node.shims if hasattr(s, "_hfmodel")]
    return shim._model


def weights(nlp: Language) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder(nlp).state_dict().items()}


def gradients(nlp: Language) -> dict[str, torch.Tensor]:
    named = encoder(nlp).named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None and p.grad.any()}


def differ(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in one)


def scores(nlp: Language) -> list[float]:
    doc = nlp(make_doc(nlp, ["hi", "Bob", "Dylan", "ram"]))
    return [entity._.score for entity in doc.ents if entity._.score is not None]


def of_words(nlp: Language, *posts: list[str]) -> list[Example]:
    """Posts that are annotated as having no entities."""
    return examples_of([make_doc(nlp, words, tags=["O"] * len(words)) for words in posts])


def rewired(nlp: Language, wiring: str, folder: Path) -> Language:
    """The pipeline as it comes to be used, without `ner`."""
    nlp.remove_pipe("ner")
    if wiring != "shared":
        nlp.replace_listeners("transformer", "multimodal_ner", ["model.tok2vec"])
        nlp.remove_pipe("transformer")
    if wiring == "loaded":
        nlp.to_disk(folder / "model")
        return spacy.load(folder / "model")
    return nlp


@contextmanager
def hidden(folder: Path) -> Iterator[None]:
    """A folder that is not where it was."""
    elsewhere = folder.rename(folder.with_name("hidden"))
    try:
        yield
    finally:
        elsewhere.rename(folder)


def test_two_components_train_one_transformer(shared):
    train(shared, posts(shared), steps=3)
    for alone, others in (("multimodal_ner", ["ner"]), ("ner", ["multimodal_ner"])):
        before = weights(shared)
        losses: dict[str, float] = {}
        shared.update(posts(shared), sgd=shared.create_optimizer(), exclude=others, losses=losses)
        assert losses[alone] > 0 and differ(before, weights(shared))


@pytest.mark.parametrize(("rate", "moves"), [(0.0, False), (1e-4, True)])
def test_a_shared_transformer_is_trained_with_encoder_learn_rate(shared, rate, moves):
    shared.remove_pipe("ner")
    train(shared, posts(shared), steps=1)  # spacy-transformers begins to learn in the second step
    before = weights(shared)
    ours = shared.get_pipe("multimodal_ner").model.shims[0].network
    others = {name: value.clone() for name, value in ours.state_dict().items()}
    shared.update(posts(shared), sgd=AdamW(0.01, encoder_learn_rate=rate, weight_decay=0.0))
    after = weights(shared)
    furthest = max((after[n] - before[n]).abs().max().item() for n in before)
    assert furthest == pytest.approx(rate, rel=1e-2, abs=0) if moves else furthest == 0.0
    assert differ(others, ours.state_dict())


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_saved_pipeline_predicts_the_same_without_the_encoder_folder(
    shared, tmp_path, bert, is_replaced
):
    train(shared, posts(shared), steps=40)
    shared.remove_pipe("ner")
    expected = scores(shared)
    assert expected
    if is_replaced:
        shared.replace_listeners("transformer", "multimodal_ner", ["model.tok2vec"])
        shared.remove_pipe("transformer")
        assert scores(shared) == pytest.approx(expected, abs=1e-4)
    shared.to_disk(tmp_path / "model")
    with hidden(bert):
        assert scores(spacy.load(tmp_path / "model")) == pytest.approx(expected, abs=1e-4)


WIRINGS = pytest.mark.parametrize("wiring", ["shared", "replaced", "loaded"])


@WIRINGS
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_posts_without_tokens_have_no_entities_and_do_not_affect_others(
    shared, tmp_path, wiring, batch_size
):
    train(shared, posts(shared), steps=40)
    expected = scores(shared)
    assert expected
    nlp = rewired(shared, wiring, tmp_path)
    words = ["hi", "Bob", "Dylan", "ram"]
    stream = [make_doc(nlp, post) for post in ([], words, [], [], [" "], ["\u200b"], words)]
    answers = [[e._.score for e in doc.ents] for doc in nlp.pipe(stream, batch_size=batch_size)]
    assert not any(answers[i] for i in (0, 2, 3))
    assert answers[1] == answers[6] == pytest.approx(expected, abs=1e-4)
    assert nlp("").ents == ()


@WIRINGS
def test_posts_without_tokens_count_with_loss_zero(shared, tmp_path, wiring):
    shared.initialize(lambda: posts(shared))
    nlp = rewired(shared, wiring, tmp_path)
    disable_dropout(nlp)
    found = []
    for before, behind in ([], []), ([[]], [[], []]):
        examples = [*of_words(nlp, *before), *posts(nlp), *of_words(nlp, *behind)]
        nlp.update(examples, sgd=False)
        found.append(gradients(nlp))
        for _, pipe in nlp.pipeline:
            pipe.finish_update(Adam(0.0))
    assert found[0]
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient * 15 / 18, atol=1e-6, rtol=1e-3)


@WIRINGS
def test_a_batch_of_posts_without_tokens_does_not_update_an_encoder(shared, tmp_path, wiring):
    shared.initialize(lambda: posts(shared))
    nlp = rewired(shared, wiring, tmp_path)
    losses: dict[str, float] = {}
    nlp.update(of_words(nlp, [], []), sgd=False, losses=losses)
    assert losses["multimodal_ner"] == 0.0 and not gradients(nlp)
    nlp.update(posts(nlp), sgd=False, losses=losses)
    assert losses["multimodal_ner"] > 0.0 and gradients(nlp)


@WIRINGS
def test_accumulated_gradients_are_a_mean_except_in_a_shared_component(shared, tmp_path, wiring):
    """There spaCy sums over batches, here of 5 and 10 posts, in units of the mean of the first."""
    shared.initialize(lambda: posts(shared))
    nlp = rewired(shared, wiring, tmp_path)
    disable_dropout(nlp)
    examples = posts(nlp)
    found = []
    for parts in ([examples], [examples[:5], examples[5:]]):
        found.append(accumulated_gradients(nlp, parts))
        if wiring == "shared":
            found[-1] |= gradients(nlp)
            encoder(nlp).zero_grad()
    for key, gradient in found[0].items():
        factor = 15 / 5 if isinstance(key, str) else 1
        np.testing.assert_allclose(found[1][key], gradient * factor, atol=1e-5, rtol=1e-3)
    names = {key if isinstance(key, str) else key[1] for key in found[0]}
    assert {"decode.start", "embeddings.word_embeddings.weight"} <= names


def test_another_component_learns_from_batches_with_posts_without_tokens(shared):
    train(shared, posts(shared), steps=1)
    examples = [*of_words(shared, []), *posts(shared)]
    before = weights(shared)
    losses: dict[str, float] = {}
    shared.update(examples, sgd=shared.create_optimizer(), losses=losses)
    assert min(losses.values()) > 0.0 and differ(before, weights(shared))


def test_a_frozen_transformer_is_not_updated_and_accepts_posts_without_tokens(shared):
    shared.initialize(lambda: posts(shared))
    before = weights(shared)
    losses: dict[str, float] = {}
    frozen = {"exclude": ["transformer"], "annotates": ["transformer"], "losses": losses}
    for examples in ([*of_words(shared, []), *posts(shared)], of_words(shared, [])):
        shared.update(examples, sgd=shared.create_optimizer(), **frozen)
    assert losses["multimodal_ner"] > 0.0 and not differ(before, weights(shared))


@pytest.mark.parametrize("n_empty", [1, 12])
def test_the_first_posts_of_a_corpus_may_have_no_tokens(shared, n_empty):
    shared.remove_pipe("ner")  # it fails where the first ten have none
    train(shared, [*of_words(shared, *[[]] * n_empty), *posts(shared)], steps=40)
    assert scores(shared)


def test_two_processes_predict_unusual_posts_the_same_as_one(shared):
    train(shared, posts(shared), steps=40)
    words = [[], ["hi", "Bob", "Dylan", "ram"], [" "], ["\u200b"], ["x"] * 90, []] * 2
    alone, forked = (
        [
            [entity.text for entity in doc.ents]
            for doc in shared.pipe([make_doc(shared, w) for w in words], **settings)
        ]
        for settings in ({}, {"n_process": 2, "batch_size": 3})
    )
    assert forked == alone
    assert alone[1] == ["Bob Dylan"]

"""A spaCy tok2vec as one more modality: inside the model, or shared by a listener."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language

from ..conftest import (
    accumulated_gradients,
    disable_dropout,
    examples_of,
    gold_docs,
    make_doc,
    train,
)

WIDTH = 24
CNN = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "pretrained_vectors": None,
    "width": WIDTH,
    "depth": 1,
    "embed_size": 200,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
}
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH, "upstream": "tok2vec"}


def with_tok2vec(small_model: dict[str, Any], tok2vec: dict[str, Any]) -> dict[str, Any]:
    embed = {"char": small_model["embed"]["char"]}
    return {**small_model, "embed": embed, "tok2vec": tok2vec, "tok2vec_width": 16}


@pytest.fixture
def embedded(small_model) -> Language:
    nlp = spacy.blank("en")
    config = {"model": with_tok2vec(small_model, CNN), "annotate_attention": True}
    nlp.add_pipe("multimodal_ner", config=config)
    return nlp


@pytest.fixture
def listening(small_model) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": CNN})
    config = {"model": with_tok2vec(small_model, LISTENER), "annotate_attention": True}
    nlp.add_pipe("multimodal_ner", config=config)
    return nlp


def parameters(model: Any) -> list[np.ndarray]:
    return [
        node.get_param(name).copy()
        for node in model.walk()
        for name in node.param_names
        if node.has_param(name)
    ]


def changed(before: list[np.ndarray], model: Any) -> bool:
    pairs = zip(before, parameters(model), strict=True)
    return any(not np.array_equal(one, other) for one, other in pairs)


def scores(nlp: Language) -> list[float]:
    doc = nlp(make_doc(nlp, ["hi", "Bob", "Dylan", "ram"]))
    return [entity._.score for entity in doc.ents]


def test_an_embedded_tok2vec_is_a_modality_and_learns(embedded):
    train(embedded, examples_of(gold_docs(embedded)), steps=2)
    tok2vec = embedded.get_pipe("multimodal_ner").model.get_ref("tok2vec")
    before = parameters(tok2vec)
    embedded.update(examples_of(gold_docs(embedded)), sgd=embedded.create_optimizer())
    assert changed(before, tok2vec)
    assert list(embedded("hi Bob")._.modality_attention) == ["char", "tok2vec"]


def test_the_gradient_of_a_tok2vec_matches_finite_differences(embedded):
    """Checked against finite differences of the loss by one weight of the tok2vec."""
    examples = examples_of(gold_docs(embedded))
    embedded.initialize(lambda: examples)
    component = embedded.get_pipe("multimodal_ner")
    disable_dropout(embedded)
    node = next(n for n in component.model.get_ref("tok2vec").walk() if n.has_param("W"))

    def loss() -> tuple[float, Any]:
        output, backprop = component.model.begin_update([eg.predicted for eg in examples])
        value, gradients = component.get_loss(examples, output)
        return value, lambda: backprop(gradients)

    loss()[1]()
    gradient = node.get_grad("W").copy()
    place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
    step, weights = 1e-2, node.get_param("W")
    values = []
    for sign in (1, -1):
        weights[place] += sign * step
        values.append(loss()[0])
        weights[place] -= sign * step
    slope = (values[0] - values[1]) / (2 * step)
    assert slope == pytest.approx(gradient[place], rel=0.05)


def test_accumulated_gradients_of_a_tok2vec_are_those_of_all_posts_at_once(embedded):
    examples = examples_of(gold_docs(embedded))
    embedded.initialize(lambda: examples)
    disable_dropout(embedded)
    once = accumulated_gradients(embedded, [examples])
    in_parts = accumulated_gradients(embedded, [examples[:5], examples[5:12], examples[12:]])
    of_tok2vec = {
        (node.id, name)
        for node in embedded.get_pipe("multimodal_ner").model.get_ref("tok2vec").walk()
        for name in node.grad_names
    }
    assert of_tok2vec and of_tok2vec < once.keys()
    for key, gradient in once.items():
        np.testing.assert_allclose(in_parts[key], gradient, atol=1e-5, rtol=1e-3)


def test_a_rejected_gradient_of_a_tok2vec_is_discarded(embedded):
    examples = examples_of(gold_docs(embedded))
    embedded.initialize(lambda: examples)
    disable_dropout(embedded)
    expected = accumulated_gradients(embedded, [examples])
    network = embedded.get_pipe("multimodal_ner").model.shims[0].network

    def spoil(module: Any, inputs: Any, output: torch.Tensor) -> None:
        output.register_hook(lambda gradient: gradient * np.nan)

    hook = network.embed["tok2vec"].projection.register_forward_hook(spoil)
    with pytest.raises(ValueError, match="not finite"):
        accumulated_gradients(embedded, [examples])
    hook.remove()
    for key, gradient in accumulated_gradients(embedded, [examples]).items():
        np.testing.assert_allclose(gradient, expected[key], atol=1e-5, rtol=1e-3)


def test_a_listener_trains_the_shared_tok2vec(listening):
    train(listening, examples_of(gold_docs(listening)), steps=40)
    tok2vec = listening.get_pipe("tok2vec").model
    before = parameters(tok2vec)
    listening.update(examples_of(gold_docs(listening)), sgd=listening.create_optimizer())
    assert changed(before, tok2vec)
    assert len(scores(listening)) == 1


def test_a_frozen_tok2vec_is_not_updated_and_accepts_posts_without_tokens(listening):
    listening.initialize(lambda: examples_of(gold_docs(listening)))
    tok2vec = listening.get_pipe("tok2vec").model
    before = parameters(tok2vec)
    losses: dict[str, float] = {}
    listening.update(
        examples_of([make_doc(listening, [], tags=[]), *gold_docs(listening)]),
        sgd=listening.create_optimizer(),
        exclude=["tok2vec"],
        annotates=["tok2vec"],
        losses=losses,
    )
    assert losses["multimodal_ner"] > 0.0 and not changed(before, tok2vec)


@pytest.mark.parametrize("pipeline", ["embedded", "listening"])
def test_posts_without_tokens_do_not_affect_others(pipeline, request):
    nlp = request.getfixturevalue(pipeline)
    gold = [make_doc(nlp, [], tags=[]), *gold_docs(nlp), make_doc(nlp, [], tags=[])]
    train(nlp, examples_of(gold), steps=40)
    nlp.update(examples_of(gold[:1]), sgd=nlp.create_optimizer())
    words = ["hi", "Bob", "Dylan", "ram"]
    first, found, last = nlp.pipe([make_doc(nlp, post) for post in ([], words, [])])
    assert [entity._.score for entity in found.ents] == pytest.approx(scores(nlp), abs=1e-5)
    assert len(found.ents) == 1 and first.ents == last.ents == nlp("").ents == ()


def test_a_nonfinite_gradient_does_not_reach_a_shared_component(listening):
    examples = examples_of(gold_docs(listening))
    optimizer = listening.initialize(lambda: examples)
    network = listening.get_pipe("multimodal_ner").model.shims[0].network
    network.encode.register_full_backward_pre_hook(lambda _, grads: (grads[0] * torch.nan,))
    listening.update(examples, sgd=False)
    # In the order of the training loop: what is listened to comes first.
    listening.get_pipe("tok2vec").finish_update(optimizer)
    with pytest.raises(ValueError, match="gradient of 'multimodal_ner' is not finite"):
        listening.get_pipe("multimodal_ner").finish_update(optimizer)
    shared = parameters(listening.get_pipe("tok2vec").model)
    assert shared and all(np.isfinite(array).all() for array in shared)

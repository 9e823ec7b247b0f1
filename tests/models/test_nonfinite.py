"""Training that diverges: the error, and what stays of the model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_pipeline
from spacy.util import load_config

import spacy_mner
from spacy_mner.errors import CheckpointWarning

from ..conftest import accumulated_gradients, disable_dropout, examples_of, gold_docs, make_doc

TEMPLATE = Path(spacy_mner.__file__).parent / "templates" / "base.cfg"
# Beyond float32, so that weights are infinite after the step.
FAR_TOO_LARGE = 1e39


def network_of(nlp: Language) -> torch.nn.Module:
    return nlp.get_pipe("multimodal_ner").model.shims[0].network


def initialized(nlp: Language) -> tuple[list[Any], Any]:
    """The examples of posts with ids, and the optimizer."""
    docs = gold_docs(nlp)
    for i, doc in enumerate(docs):
        doc.user_data["spacy_mner.post_id"] = f"post-{i}"
    examples = examples_of(docs)
    return examples, nlp.initialize(lambda: examples)


def error_of(nlp: Language, examples: list[Any], **settings: Any) -> str:
    with pytest.raises(ValueError) as caught:
        nlp.update(examples, **settings)
    return str(caught.value)


def test_a_loss_that_is_not_finite_names_the_batch_and_the_step(untrained):
    examples, optimizer = initialized(untrained)
    for _ in range(3):
        untrained.update(examples, sgd=optimizer)
    with torch.no_grad():
        network_of(untrained).decode.transitions[0, 0] = torch.nan
    error = error_of(untrained, examples, sgd=optimizer)
    assert "[E910]" in error and "Step 3, 15 posts: post-0 ('my jaguar !'), " in error
    assert "post-4" in error and "post-5" not in error and "and 10 more" in error
    assert "The weights decode.transitions" in error and "learn_rate" in error


def test_a_post_without_a_name_is_named_by_its_text(untrained):
    examples = examples_of(gold_docs(untrained)[:1])
    untrained.initialize(lambda: examples)
    with torch.no_grad():
        network_of(untrained).decode.start.fill_(torch.nan)
    assert "1 post: 'my jaguar !'. " in error_of(untrained, examples)


def test_a_word_vector_that_is_not_finite_is_named(untrained):
    untrained.vocab.reset_vectors(width=4)
    for word in ("my", "ram", "hi"):
        untrained.vocab.set_vector(word, np.full(4, np.nan if word == "ram" else 1.0))
    examples, optimizer = initialized(untrained)
    error = error_of(untrained, examples, sgd=optimizer)
    assert "The word vectors of 'ram' are not finite" in error and "learn_rate" not in error


def test_posts_whose_emissions_overflow_are_named(untrained):
    examples, optimizer = initialized(untrained)

    def overflow(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        second_post = torch.arange(len(output)) // 3 == 1
        return output.masked_fill(second_post[:, None], torch.inf)

    with network_of(untrained).encode.register_forward_hook(overflow):
        error = error_of(untrained, examples, sgd=optimizer)
    assert "the emissions are not: 1 post: post-1 ('my jaguar !'). " in error


def test_a_gradient_that_is_not_finite_raises_before_an_update_of_the_weights(untrained):
    examples, optimizer = initialized(untrained)
    untrained.update(examples, sgd=optimizer)
    network = network_of(untrained)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hook = network.decode.start.register_hook(lambda gradient: gradient * torch.inf)
    error = error_of(untrained, examples[:2], sgd=optimizer)
    assert "gradient of 'multimodal_ner' is not finite. Step 1, 2 posts: post-0" in error
    assert "Parameters: decode.start." in error
    hook.remove()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    untrained.update(examples, sgd=optimizer)
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_an_accumulated_gradient_names_the_posts_of_all_its_batches(untrained):
    examples, optimizer = initialized(untrained)
    network_of(untrained).decode.start.register_hook(lambda gradient: gradient * torch.nan)
    for i in (0, 2):
        untrained.update(examples[i : i + 2], sgd=False)
    with pytest.raises(ValueError, match=r"4 posts: post-0 .*, post-3 "):
        untrained.get_pipe("multimodal_ner").finish_update(optimizer)


def test_a_batch_that_fails_does_not_count_in_the_gradient_of_others(untrained):
    examples, _ = initialized(untrained)
    disable_dropout(untrained)
    expected = accumulated_gradients(untrained, [examples])
    with network_of(untrained).encode.register_forward_hook(lambda *call: call[-1] * torch.nan):
        error_of(untrained, examples[:5], sgd=False)
    for key, gradient in accumulated_gradients(untrained, [examples]).items():
        np.testing.assert_allclose(gradient, expected[key], atol=1e-6, rtol=1e-4)


def test_a_descriptor_that_is_not_finite_does_not_affect_training(small_model):
    nlp = spacy.blank("en")
    image = {**small_model["embed"]["image"], "encoder": None}
    model = {**small_model, "embed": {**small_model["embed"], "image": image}}
    nlp.add_pipe("multimodal_ner", config={"model": model})
    docs = gold_docs(nlp)
    for i, doc in enumerate(docs):
        doc._.image, doc._.image_features = None, np.full(3, np.nan if i == 4 else 1.0, np.float32)
    examples = examples_of(docs)
    optimizer = nlp.initialize(lambda: examples)
    with pytest.warns(UserWarning, match="Image masked: image_features"):
        losses = nlp.update(examples, sgd=optimizer)
    assert np.isfinite(losses["multimodal_ner"])


@pytest.mark.parametrize(
    "eval_frequency, message",
    [
        (1, r"weights of 'multimodal_ner' are not finite"),
        (2, r"E910.* weights .* are not finite since"),
    ],
    ids=["seen when saving", "seen by the next batch"],
)
@pytest.mark.parametrize("use_averages", [True, False])
def test_checkpoints_stay_as_they_were_before_the_weights_became_nonfinite(
    corpus_path, tmp_path, eval_frequency, message, use_averages
):
    nlp = train_from_config(corpus_path, eval_frequency, use_averages)
    with (
        pytest.raises(ValueError, match=message),
        pytest.warns(CheckpointWarning, match="is left as it is"),
    ):
        train_pipeline(nlp, tmp_path, stdout=io.StringIO(), stderr=io.StringIO())
    for name in ("model-best", "model-last"):
        loaded = spacy.load(tmp_path / name)
        assert all(value.isfinite().all() for value in network_of(loaded).state_dict().values())
        assert loaded(make_doc(loaded, ["hi", "Bob"]))._.image_status == "absent"


def train_from_config(corpus: Path, eval_frequency: int, use_averages: bool) -> Language:
    """An initialized pipeline whose fourth step makes the weights nonfinite."""
    config = load_config(TEMPLATE)
    config["paths"] |= {"train": str(corpus), "dev": str(corpus)}
    config["components"]["multimodal_ner"]["model"]["embed"]["image"] = None
    config["training"] |= {"max_epochs": 0, "max_steps": 9, "eval_frequency": eval_frequency}
    config["training"]["optimizer"] |= {
        "learn_rate": [0.001, 0.001, 0.001, FAR_TOO_LARGE],
        "use_averages": use_averages,
    }
    config["training"]["logger"] |= {"progress_bar": None, "console_output": False}
    return init_nlp(config)

from __future__ import annotations

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

import spacy_mner
from spacy_mner.errors import MissingImagesWarning
from spacy_mner.extensions import IMAGE_DROPOUT

from ..conftest import examples_of, gold_docs, make_doc, make_pipeline, train


@pytest.fixture
def initialized(untrained: Language) -> Language:
    untrained.initialize(lambda: examples_of(gold_docs(untrained)))
    return untrained


def test_the_same_seed_gives_the_same_weights(small_model, images):
    weights = []
    for _ in range(2):
        nlp = make_pipeline(small_model, images)
        train(nlp, examples_of(gold_docs(nlp)), steps=3)
        weights.append(nlp.get_pipe("multimodal_ner").model.shims[0].network.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("kept", [set(), {"optimizer", "eval_frequency"}])
def test_a_config_with_few_or_no_values_for_training_is_initialized_in_code(untrained, kept):
    config = untrained.config.copy()
    config["training"] = {key: config["training"][key] for key in kept}
    nlp = spacy.util.load_model_from_config(config, auto_fill=False)
    nlp.get_pipe("multimodal_ner").initialize(lambda: examples_of(gold_docs(nlp)), nlp=nlp)
    assert nlp.get_pipe("multimodal_ner").is_initialized


def test_the_image_encoder_is_bit_identical_after_training(untrained):
    featurizers = untrained.get_pipe("multimodal_ner").model.attrs["featurizers"]
    network = featurizers.by_name["image"].encoder.network_on(None)[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(untrained, examples_of(gold_docs(untrained)), steps=3)
    assert featurizers.by_name["image"].encoder.network_on(None)[0] is network
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert any("running_mean" in name for name in before)


def test_tokens_without_annotation_do_not_count(initialized):
    """A post without annotation has loss 0 and gradient 0."""
    component = initialized.get_pipe("multimodal_ner")
    blank = Example(
        make_doc(initialized, ["my", "jaguar"]),
        Doc(initialized.vocab, words=["my", "jaguar"], ents=["", ""]),
    )
    output, _ = component.model.begin_update([blank.predicted])
    loss, gradients = component.get_loss([blank], output)
    assert loss == pytest.approx(0.0, abs=1e-5)
    assert gradients.emissions.abs().max() < 1e-6


def test_the_loss_of_a_partial_annotation_sums_over_the_missing_tags(initialized):
    """Its loss is -log of the summed probability of the complete annotations that agree with it."""
    component = initialized.get_pipe("multimodal_ner")
    words = ["hi", "Bob"]

    def loss(tags: list[str]) -> float:
        reference = Doc(initialized.vocab, words=words, ents=tags)
        example = Example(make_doc(initialized, words), reference)
        return component.get_loss([example], component.model.predict([example.predicted]))[0]

    complete = [["O", tag] for tag in ("O", "B-PER", "B-ORG")]
    expected = -np.log(sum(np.exp(-loss(tags)) for tags in complete))
    assert loss(["O", ""]) == pytest.approx(expected, abs=1e-5)


def test_predicted_tokens_are_aligned_with_gold_tokens(initialized):
    reference = Doc(
        initialized.vocab,
        words=["Bob", "Dylan", "!"],
        spaces=[True, False, False],
        ents=["B-PER", "I-PER", "O"],
    )
    predicted = Doc(initialized.vocab, words=["Bob", "Dyl", "an!"], spaces=[True, False, False])
    losses = initialized.get_pipe("multimodal_ner").update([Example(predicted, reference)])
    assert np.isfinite(losses["multimodal_ner"])


def test_image_dropout_masks_other_images_in_every_training_step(initialized):
    component = initialized.get_pipe("multimodal_ner")
    docs = [make_doc(initialized, ["my", "ram"], "car.png") for _ in range(40)]
    for doc in docs:
        doc.user_data[IMAGE_DROPOUT] = 0.5
    spacy.util.fix_random_seed(0)
    drawn = []
    for _ in range(2):
        output, _ = component.model.begin_update(docs)
        drawn.append([status.kind == "used" for status in output.image_status])
    assert drawn[0] != drawn[1]
    assert 5 < sum(drawn[0]) < 35
    assert {str(one) for one in component.model.predict(docs).image_status} == {"used"}


def test_an_unknown_gold_label_is_named(initialized):
    reference = Doc(initialized.vocab, words=["Oslo"], ents=["B-LOC"])
    with pytest.raises(ValueError, match="'LOC'"):
        initialized.update([Example(Doc(initialized.vocab, words=["Oslo"]), reference)])


def test_a_reader_that_drops_the_images_raises_one_warning(untrained):
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    for example in examples:
        spacy_mner.extensions.drop_image(example.predicted)
    with pytest.warns(MissingImagesWarning, match="MultimodalCorpus") as caught:
        untrained.update(examples)
        untrained.update(examples)
    assert len([w for w in caught if w.category is MissingImagesWarning]) == 1


def test_rehearsal_is_refused(trained):
    with pytest.raises(ValueError, match="rehearsal"):
        trained.rehearse(examples_of(gold_docs(trained)))


def test_averaged_weights_are_swapped_in_and_out(trained):
    component = trained.get_pipe("multimodal_ner")
    shim = component.model.shims[0]
    name, parameter = next(iter(shim.network.named_parameters()))
    before = parameter.detach().clone()
    average = np.full(tuple(parameter.shape), 7.0, np.float32)
    with trained.use_params({(shim.id, name): average}):
        assert (parameter == 7.0).all()
    assert torch.equal(parameter, before)

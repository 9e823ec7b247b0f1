from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import spacy
import torch
from spacy.util import registry
from thinc.api import Config, fix_random_seed

from spacy_mner.layers.decode import CRF, negative_log_likelihood
from spacy_mner.models.architectures import build_crf
from spacy_mner.models.predictions import loss_and_gradients
from spacy_mner.models.tagger import TaggerOutput

from ..conftest import CROSS_MODAL, examples_of, gold_docs

LENGTHS = torch.tensor([3, 0, 2])
# O, B-X, then no annotation | B-X, O
ALLOWED = np.asarray([[1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0]], dtype=bool)


VECTORS = torch.linspace(-1, 1, 20).view(5, 4)


def crf_with(weight: float | None, kind: Literal["binary", "bio"] = "binary") -> CRF:
    torch.manual_seed(0)
    head = None if weight is None else kind
    return CRF(input_width=4, n_labels=1, segmentation=head, segmentation_weight=weight or 0.0)


def output_of(weight: float | None) -> TaggerOutput:
    return TaggerOutput(crf_with(weight)(VECTORS, LENGTHS), LENGTHS, [])


def test_the_head_adds_its_weighted_loss_to_the_mean_over_posts():
    plain, _ = loss_and_gradients(output_of(None), ALLOWED)
    output = output_of(0.5)
    loss, _ = loss_and_gradients(output, ALLOWED)
    logits = output.potentials.segmentation.logits.detach()[[0, 1, 3, 4]]
    entropy = torch.nn.functional.binary_cross_entropy(
        logits.sigmoid(), torch.tensor([0.0, 1, 1, 0]), reduction="sum"
    )
    assert loss == pytest.approx(plain + 0.5 * entropy.item() / 3, abs=1e-5)


def test_the_gradient_by_the_head_is_the_formula_and_the_others_stay_as_they_are():
    _, plain = loss_and_gradients(output_of(None), ALLOWED)
    output = output_of(0.5)
    _, gradients = loss_and_gradients(output, ALLOWED)
    truth, counts = torch.tensor([0.0, 1, 0, 1, 0]), torch.tensor([1.0, 1, 0, 1, 1])
    probabilities = output.potentials.segmentation.logits.detach().sigmoid()
    expected = 0.5 / 3 * counts * (probabilities - truth)
    assert torch.allclose(gradients.segmentation.logits, expected, atol=1e-6)
    for ours, theirs in zip(gradients.tensors(), plain.tensors(), strict=False):
        assert torch.equal(ours, theirs)


def test_a_head_with_a_crf_adds_its_weighted_loss_and_all_its_scores_learn():
    decode = crf_with(0.5, "bio")
    plain, _ = loss_and_gradients(output_of(None), ALLOWED)
    potentials = decode(VECTORS, LENGTHS)
    loss, gradients = loss_and_gradients(TaggerOutput(potentials, LENGTHS, []), ALLOWED)
    torch.autograd.backward(potentials.tensors(), gradients.tensors())
    found = {name: parameter.grad for name, parameter in decode.named_parameters()}

    decode.zero_grad(set_to_none=True)
    annotation = torch.from_numpy(ALLOWED)
    # With one label, the tags without types are the tags.
    head = negative_log_likelihood(decode.segmentation_head(VECTORS, LENGTHS), LENGTHS, annotation)
    main = negative_log_likelihood(decode(VECTORS, LENGTHS), LENGTHS, annotation)
    (main + 0.5 * head).mean().backward()
    assert loss == pytest.approx(plain + 0.5 * head.mean().item(), abs=1e-5)
    for name, parameter in decode.named_parameters():
        assert parameter.grad.any(), name
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name


def test_with_weight_zero_the_loss_is_the_plain_one():
    plain, _ = loss_and_gradients(output_of(None), ALLOWED)
    loss, gradients = loss_and_gradients(output_of(0.0), ALLOWED)
    assert loss == plain
    assert not gradients.segmentation.logits.any()


def test_a_config_switches_the_head_on_and_off():
    def crf(**settings: object) -> CRF:
        block = {"@architectures": "spacy_mner.CRF.v1", **settings}
        stage = registry.resolve(Config({"decode": block}))["decode"]
        return stage.build(input_width=3, n_labels=1)

    assert crf().segmentation is None
    assert not hasattr(crf(), "segmentation_head")
    assert isinstance(crf(segmentation="bio").segmentation_head, CRF)
    for kind, default in {"binary": 1.0, "bio": 0.5}.items():
        for weight in (None, 0.0, 2.0):
            built = crf(segmentation=kind, segmentation_weight=weight).segmentation_weight
            assert built == (default if weight is None else weight)
    with pytest.raises(ValueError, match="segmentation"):
        crf(segmentation="ternary")
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        build_crf(segmentation="binary", segmentation_weight=-1.0)


@pytest.mark.parametrize(
    "kind, stages",
    [("binary", {}), ("bio", {}), ("bio", CROSS_MODAL)],
    ids=["binary", "bio", "bio of its own vectors"],
)
def test_a_pipeline_learns_the_auxiliary_task(small_model, images, kind, stages):
    nlp = spacy.blank("en")
    decode = {"@architectures": "spacy_mner.CRF.v1", "segmentation": kind}
    model = {**small_model, **stages, "decode": decode}
    config = {"model": model, "images_root": str(images)}
    pipe = nlp.add_pipe("multimodal_ner", config=config)
    examples = examples_of(gold_docs(nlp))
    fix_random_seed(0)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    network = pipe.model.shims[0].network
    head = network.decode.segmentation_head
    before = {name: weight.detach().clone() for name, weight in head.named_parameters()}
    losses = [nlp.update(examples, sgd=optimizer)["multimodal_ner"] for _ in range(15)]
    assert losses[-1] < losses[0] / 2
    for name, weight in head.named_parameters():
        assert not torch.equal(weight, before[name]), name
    again = spacy.util.load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())
    docs = [example.predicted for example in examples]
    expected = pipe.predict(docs)
    for ours, theirs in zip(again.get_pipe("multimodal_ner").predict(docs), expected, strict=True):
        # Images were encoded by torch in training, and by ONNX Runtime after loading.
        assert [entity[:3] for entity in ours.entities] == [one[:3] for one in theirs.entities]
        assert [entity[3] for entity in ours.entities] == pytest.approx(
            [one[3] for one in theirs.entities], abs=1e-4
        )

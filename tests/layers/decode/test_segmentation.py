from __future__ import annotations

import math

import pytest
import torch

from spacy_mner.layers.decode import (
    CRF,
    Potentials,
    Segmentation,
    marginals,
    negative_log_likelihood,
    segmentation_loss,
    viterbi,
)

LENGTHS = torch.tensor([3, 0, 2])
OUTSIDE, ENTITY, B_PER = [1, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 1, 0, 0, 0]
UNKNOWN, O_OR_B_PER = [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]


def rows(*annotation: list[int]) -> torch.Tensor:
    return torch.tensor(annotation, dtype=torch.bool)


def crf(weight: float | None) -> CRF:
    torch.manual_seed(0)
    return CRF(input_width=3, labels=["PER", "LOC"], segmentation_weight=weight)


def test_the_loss_of_a_post_is_the_weighted_cross_entropy_of_its_tokens():
    logits = torch.tensor([0.5, -1.0, 2.0, 3.0, -0.3], dtype=torch.float64)
    allowed = rows(OUTSIDE, B_PER, ENTITY, OUTSIDE, B_PER)
    loss = segmentation_loss(Segmentation(logits, 0.7), LENGTHS, allowed)
    # -log of the probability that the head gives to what is right
    costs = [
        math.log1p(math.exp(-logit if is_entity else logit))
        for logit, is_entity in zip(logits.tolist(), [0, 1, 1, 0, 1], strict=True)
    ]
    expected = [0.7 * sum(costs[:3]), 0, 0.7 * sum(costs[3:])]
    assert loss.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_gradient_of_a_logit_is_its_probability_less_the_truth():
    logits = torch.tensor([0.5, -1.0, 2.0, 3.0, -0.3], requires_grad=True)
    allowed = rows(OUTSIDE, B_PER, ENTITY, UNKNOWN, O_OR_B_PER)
    segmentation_loss(Segmentation(logits, 0.7), LENGTHS, allowed).sum().backward()
    truth, counts = torch.tensor([0.0, 1, 1, 0, 0]), torch.tensor([1.0, 1, 1, 0, 0])
    expected = 0.7 * counts * (logits.detach().sigmoid() - truth)
    assert torch.allclose(logits.grad, expected)


def test_tokens_that_the_annotation_leaves_open_do_not_count():
    logits = torch.tensor([0.5, -1.0, 2.0, 3.0, -0.3])
    with_open = rows(OUTSIDE, UNKNOWN, B_PER, UNKNOWN, O_OR_B_PER)
    loss = segmentation_loss(Segmentation(logits, 1.0), LENGTHS, with_open)
    without = segmentation_loss(
        Segmentation(logits[[0, 2]], 1.0), torch.tensor([2, 0, 0]), with_open[[0, 2]]
    )
    assert torch.allclose(loss, without)


def test_a_batch_without_posts_or_tokens_has_no_loss():
    for lengths in ([], [0]):
        loss = segmentation_loss(
            Segmentation(torch.zeros(0), 1.0),
            torch.tensor(lengths, dtype=torch.int64),
            torch.zeros(0, 5, dtype=torch.bool),
        )
        assert loss.tolist() == [0.0] * len(lengths)


def test_the_head_speaks_in_training_only_and_only_where_there_is_one():
    vectors = torch.randn(5, 3)
    with_head = crf(0.5)
    assert with_head(vectors, LENGTHS).segmentation.logits.shape == (5,)
    assert with_head.eval()(vectors, LENGTHS).segmentation is None
    assert crf(None)(vectors, LENGTHS).segmentation is None


def test_what_is_predicted_does_not_depend_on_the_head():
    vectors = torch.randn(5, 3)
    plain, with_head = crf(None)(vectors, LENGTHS), crf(0.5)(vectors, LENGTHS)
    assert torch.equal(viterbi(plain, LENGTHS), viterbi(with_head, LENGTHS))
    assert torch.equal(marginals(plain, LENGTHS), marginals(with_head, LENGTHS))
    allowed = rows(OUTSIDE, B_PER, ENTITY, UNKNOWN, OUTSIDE)
    assert torch.equal(
        negative_log_likelihood(plain, LENGTHS, allowed),
        negative_log_likelihood(with_head, LENGTHS, allowed),
    )


def test_autocast_does_not_reach_the_head():
    decode, vectors = crf(0.5), torch.randn(5, 3)
    expected = decode(vectors, LENGTHS).segmentation.logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(decode(vectors, LENGTHS).segmentation.logits, expected)


@pytest.mark.parametrize("weight", [None, 0.5])
def test_tensors_are_exchanged_in_the_order_in_which_they_are_told(weight: float | None):
    potentials = crf(weight)(torch.randn(5, 3), LENGTHS)
    doubled = potentials.with_tensors([2 * tensor for tensor in potentials.tensors()])
    for name in ("emissions", "transitions", "start", "end"):
        assert torch.equal(getattr(doubled, name), 2 * getattr(potentials, name))
    assert isinstance(doubled, Potentials)
    if weight is None:
        assert doubled.segmentation is None
    else:
        assert torch.equal(doubled.segmentation.logits, 2 * potentials.segmentation.logits)
        assert doubled.segmentation.weight == weight

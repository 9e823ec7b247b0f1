from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch.nn import functional

from spacy_mner.layers.decode import CRF
from spacy_mner.layers.decode.auxiliary_head import BinarySegmentation, BIOSegmentation
from spacy_mner.layers.decode.potentials import Segmentation

from .enumeration import path_probabilities, post_slices, probability, random_potentials

Kind = Literal["binary", "bio"]
KINDS: tuple[Kind, Kind] = ("binary", "bio")
LENGTHS = torch.tensor([3, 0, 2])
LOGITS = torch.tensor([0.5, -1.0, 2.0, 3.0, -0.3], dtype=torch.float64)
# O, B-PER, I-PER, B-LOC, I-LOC
OUTSIDE, ENTITY, B_PER, I_PER = [1, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]
UNKNOWN, O_OR_B_PER, ANY_B = [1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0]


def rows(*annotation: list[int]) -> torch.Tensor:
    return torch.tensor(annotation, dtype=torch.bool)


def crf(kind: Kind | None, auxiliary_width: int | None = None) -> CRF:
    torch.manual_seed(0)
    settings = {"segmentation": kind, "segmentation_weight": 0.5}
    return CRF(input_width=3, n_labels=2, auxiliary_width=auxiliary_width, **settings)


def some_segmentation(kind: Kind, n_tokens: int) -> Segmentation:
    if kind == "bio":
        return BIOSegmentation(random_potentials(n_tokens, 1), 1.0)
    return BinarySegmentation(LOGITS[:n_tokens], 1.0)


def test_the_binary_loss_of_a_post_is_the_weighted_cross_entropy_of_its_tokens():
    allowed = rows(OUTSIDE, B_PER, ENTITY, OUTSIDE, B_PER)
    loss = BinarySegmentation(LOGITS, 0.7).losses(LENGTHS, allowed)
    # -log of the probability of the gold class
    costs = [
        math.log1p(math.exp(-logit if is_entity else logit))
        for logit, is_entity in zip(LOGITS.tolist(), [0, 1, 1, 0, 1], strict=True)
    ]
    expected = [0.7 * sum(costs[:3]), 0, 0.7 * sum(costs[3:])]
    assert loss.tolist() == pytest.approx(expected, abs=1e-12)


def test_tokens_with_missing_annotation_have_no_binary_loss():
    with_open = rows(OUTSIDE, UNKNOWN, B_PER, UNKNOWN, O_OR_B_PER)
    loss = BinarySegmentation(LOGITS, 1.0).losses(LENGTHS, with_open)
    annotated = BinarySegmentation(LOGITS[[0, 2]], 1.0)
    without = annotated.losses(torch.tensor([2, 0, 0]), with_open[[0, 2]])
    assert torch.allclose(loss, without)


@pytest.mark.parametrize(
    "annotation, prefixes",
    [
        ((OUTSIDE, B_PER, I_PER, OUTSIDE, B_PER), ("O", "B", "I", "O", "B")),
        ((UNKNOWN, B_PER, ENTITY, O_OR_B_PER, UNKNOWN), ("OBI", "B", "BI", "OB", "OBI")),
        ((UNKNOWN, UNKNOWN, UNKNOWN, ANY_B, I_PER), ("OBI", "OBI", "OBI", "B", "I")),
    ],
)
def test_the_bio_loss_equals_enumeration(
    annotation: tuple[list[int], ...], prefixes: tuple[str, ...]
):
    potentials = random_potentials(5, 1)
    loss = BIOSegmentation(potentials, 0.7).losses(LENGTHS, rows(*annotation))
    expected = []
    for post in post_slices(LENGTHS.tolist()):
        fits = probability(
            path_probabilities(potentials, post),
            lambda path, post=post: all(
                "OBI"[tag] in allowed for tag, allowed in zip(path, prefixes[post], strict=True)
            ),
        )
        expected.append(-0.7 * math.log(fits))
    assert loss.tolist() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[3, 0, 2], [], [0]])
def test_without_annotation_or_tokens_the_loss_is_zero(kind: Kind, lengths: list[int]):
    segmentation = some_segmentation(kind, sum(lengths))
    allowed = torch.ones(sum(lengths), 5, dtype=torch.bool)
    losses = segmentation.losses(torch.tensor(lengths, dtype=torch.int64), allowed)
    assert losses.tolist() == [0.0] * len(lengths)


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_computes_an_output_in_training_only_and_changes_no_scores(kind: Kind):
    vectors, with_head = torch.randn(5, 3), crf(kind)
    plain, potentials = crf(None)(vectors, LENGTHS), with_head(vectors, LENGTHS)
    assert potentials.segmentation.tensors()[0].shape[0] == 5
    assert with_head.eval()(vectors, LENGTHS).segmentation is plain.segmentation is None
    for ours, theirs in zip(plain.tensors(), potentials.tensors(), strict=False):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_input_of_the_head_are_auxiliary_vectors_or_else_encoded_vectors(kind: Kind):
    vectors, auxiliary = torch.randn(5, 3), torch.randn(5, 4)
    own = crf(kind, auxiliary_width=4)
    output = own(vectors, LENGTHS, auxiliary).segmentation.tensors()[0]
    other_vectors = own(-vectors, LENGTHS, auxiliary)
    other_auxiliary = own(vectors, LENGTHS, -auxiliary)
    assert torch.equal(output, other_vectors.segmentation.tensors()[0])
    assert not torch.equal(output, other_auxiliary.segmentation.tensors()[0])
    shared = crf(kind)
    emit = shared.segmentation_head if kind == "binary" else shared.segmentation_head.emission
    expected = functional.linear(vectors, emit.weight, emit.bias)
    output = shared(vectors, LENGTHS).segmentation.tensors()[0]
    assert torch.allclose(output.view_as(expected), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_is_computed_without_autocast(kind: Kind):
    decode, vectors = crf(kind), torch.randn(5, 3)
    expected = decode(vectors, LENGTHS).segmentation.tensors()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = decode(vectors, LENGTHS).segmentation.tensors()
        half = decode(vectors, LENGTHS, vectors.bfloat16()).segmentation.tensors()
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)
    assert {tensor.dtype for tensor in half} == {torch.float32}


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_with_tensors_replaces_tensors_in_their_order(kind: Kind | None):
    potentials = crf(kind)(torch.randn(5, 3), LENGTHS)
    doubled = potentials.with_tensors([2 * tensor for tensor in potentials.tensors()])
    assert type(doubled.segmentation) is type(potentials.segmentation)
    assert kind is None or doubled.segmentation.weight == 0.5
    for ours, theirs in zip(doubled.tensors(), potentials.tensors(), strict=True):
        assert torch.equal(ours, 2 * theirs)

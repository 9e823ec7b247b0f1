from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_mner.layers.decode import Potentials, negative_log_likelihood, viterbi
from spacy_mner.layers.ragged import to_grid

from .enumeration import BATCHES, path_probabilities, post_slices, probability, random_potentials


def one_hot(tags: Tensor, n_tags: int) -> Tensor:
    return torch.nn.functional.one_hot(tags, n_tags).bool()


def some_path(potentials: Potentials, lengths: Tensor) -> Tensor:
    """A path that the BIO scheme permits, by other potentials than these."""
    return viterbi(replace(potentials, emissions=potentials.emissions.flip(0, 1)), lengths)


@pytest.mark.parametrize("open_share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("lengths", BATCHES)
def test_the_loss_equals_enumeration(lengths: list[int], open_share: float):
    """With one path and about this share of the other tags allowed."""
    potentials = random_potentials(sum(lengths), 2, seed=len(lengths))
    tensor = torch.tensor(lengths, dtype=torch.int64)
    allowed = one_hot(some_path(potentials, tensor), 5)
    allowed |= torch.rand(allowed.shape, generator=torch.Generator().manual_seed(1)) < open_share
    loss = negative_log_likelihood(potentials, tensor, allowed)
    expected = []
    for post in post_slices(lengths):
        rows = allowed[post].tolist()
        compatible = probability(
            path_probabilities(potentials, post),
            lambda path, rows=rows: all(row[tag] for row, tag in zip(rows, path, strict=True)),
        )
        expected.append(-math.log(compatible))
    assert loss.tolist() == pytest.approx(expected, abs=1e-8)


def test_loss_and_gradients_agree_with_pytorch_crf():
    torch.manual_seed(0)
    lengths, reference = torch.tensor([5, 1, 8, 3]), torchcrf.CRF(5, batch_first=True).double()
    theirs = [reference.transitions, reference.start_transitions, reference.end_transitions]
    scores = [parameter.detach().clone().requires_grad_() for parameter in theirs]
    emissions = torch.randn(17, 5, dtype=torch.float64, requires_grad=True)
    tags = torch.randint(0, 5, (17,))
    loss = negative_log_likelihood(Potentials(emissions, *scores), lengths, one_hot(tags, 5))
    loss.sum().backward()

    same_emissions = emissions.detach().clone().requires_grad_()
    grid, mask = to_grid(same_emissions, lengths)
    likelihood = reference(grid, to_grid(tags, lengths)[0], mask, reduction="none")
    likelihood.sum().neg().backward()

    assert torch.allclose(loss, -likelihood, atol=1e-10)
    for one, other in zip([emissions, *scores], [same_emissions, *theirs], strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-10)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("lengths", [[3, 0, 1, 4], [1], [0]])
def test_gradients_equal_finite_differences(lengths: list[int], partial: bool):
    tensor = torch.tensor(lengths)
    potentials = random_potentials(sum(lengths), 2)
    allowed = one_hot(some_path(potentials, tensor), 5)
    if partial:
        allowed[::2] = True
    inputs = (potentials.emissions, potentials.transitions, potentials.start, potentials.end)
    # Different weights of the posts, to detect a gradient in the wrong post.
    weights = torch.arange(1, len(lengths) + 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *scores: negative_log_likelihood(Potentials(*scores), tensor, allowed) * weights,
        [scores.requires_grad_() for scores in inputs],
    )


@pytest.mark.parametrize("partial", [False, True])
def test_an_annotation_that_bio_excludes_has_no_loss_and_no_gradient(partial: bool):
    potentials = random_potentials(5, 1, dtype=torch.float32)
    emissions = potentials.emissions.requires_grad_()
    allowed = one_hot(torch.tensor([0, 2, 0, 1, 2]), 3)  # O I-X | O B-X I-X
    if partial:
        allowed[2] = True
    loss = negative_log_likelihood(potentials, torch.tensor([2, 3]), allowed)
    loss.sum().backward()
    separate = negative_log_likelihood(
        replace(potentials, emissions=emissions[2:]), torch.tensor([3]), allowed[2:]
    )
    assert loss[0] == 0
    assert loss[1].item() == pytest.approx(separate.item(), abs=1e-5)
    assert torch.equal(emissions.grad[:2], torch.zeros(2, 3))
    assert emissions.grad[2:].abs().sum() > 0


def test_nan_potentials_give_a_nan_loss_for_their_post_only():
    potentials = random_potentials(5, 1)
    potentials.emissions[0, 0] = math.nan
    loss = negative_log_likelihood(
        potentials, torch.tensor([2, 3]), one_hot(torch.tensor([0, 0, 0, 1, 2]), 3)
    )
    assert loss[0].isnan()
    assert loss[1].isfinite()


def test_large_scores_do_not_overflow():
    potentials = random_potentials(40, 2, dtype=torch.float32)
    emissions = (potentials.emissions * 1000).requires_grad_()
    potentials = replace(potentials, emissions=emissions)
    tags = viterbi(potentials, torch.tensor([40]))
    loss = negative_log_likelihood(potentials, torch.tensor([40]), one_hot(tags, 5))
    loss.sum().backward()
    assert loss.item() == pytest.approx(0, abs=0.1)
    assert emissions.grad.isfinite().all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 3), st.booleans())
def test_the_loss_of_a_post_does_not_depend_on_its_batch(
    lengths: list[int], n_labels: int, partial: bool
):
    tensor = torch.tensor(lengths, dtype=torch.int64)
    potentials = random_potentials(sum(lengths), n_labels, dtype=torch.float32)
    allowed = one_hot(some_path(potentials, tensor), 2 * n_labels + 1)
    if partial:
        allowed[::3] = True
    together = negative_log_likelihood(potentials, tensor, allowed)
    for post, loss in zip(post_slices(lengths), together, strict=True):
        separate = negative_log_likelihood(
            replace(potentials, emissions=potentials.emissions[post]),
            torch.tensor([post.stop - post.start]),
            allowed[post],
        )
        assert loss.item() == pytest.approx(separate.item(), abs=1e-5)

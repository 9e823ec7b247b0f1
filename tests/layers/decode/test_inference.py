from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_mner.layers.decode import (
    Potentials,
    negative_log_likelihood,
    span_probabilities,
    viterbi,
)
from spacy_mner.layers.decode.bio import entities_of
from spacy_mner.layers.ragged import to_grid

from .enumeration import BATCHES, path_probabilities, post_slices, probability, random_potentials


def as_tensor(lengths: list[int]) -> Tensor:
    return torch.tensor(lengths, dtype=torch.int64)


def all_spans(lengths: list[int], n_labels: int) -> Tensor:
    spans = [
        (first, last, label)
        for post in post_slices(lengths)
        for first in range(post.start, post.stop)
        for last in range(first, post.stop)
        for label in range(n_labels)
    ]
    return torch.tensor(spans, dtype=torch.int64).reshape(-1, 3)


def one_hot(tags: Tensor, n_tags: int) -> Tensor:
    return torch.nn.functional.one_hot(tags, n_tags).bool()


def some_path(potentials: Potentials, lengths: Tensor) -> Tensor:
    """A path that the BIO scheme permits, by other potentials than these."""
    return viterbi(replace(potentials, emissions=potentials.emissions.flip(0, 1)), lengths)


def allowed_tags(potentials: Potentials, lengths: Tensor, share: float) -> Tensor:
    """One path and about this share of the other tags."""
    allowed = one_hot(some_path(potentials, lengths), potentials.emissions.shape[1])
    return allowed | (torch.rand(allowed.shape, generator=torch.Generator().manual_seed(1)) < share)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("lengths", BATCHES)
def test_best_paths_and_span_probabilities_equal_enumeration(lengths: list[int], share: float):
    potentials, tensor = random_potentials(sum(lengths), 2), as_tensor(lengths)
    potentials = potentials.constrained(allowed_tags(potentials, tensor, share))
    tags, spans = viterbi(potentials, tensor), all_spans(lengths, 2)
    assert tags.dtype == torch.int64
    expected = dict.fromkeys(map(tuple, spans.tolist()), 0.0)
    for post in post_slices(lengths):
        weights = path_probabilities(potentials, post)
        assert tuple(tags[post].tolist()) == max(weights, key=weights.__getitem__)
        for path, weight in weights.items():
            if weight > 0:
                for first, end, label in entities_of(path):
                    expected[first + post.start, end - 1 + post.start, label] += weight
    result = span_probabilities(potentials, tensor, spans)
    assert result.tolist() == pytest.approx(list(expected.values()), abs=1e-8)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("lengths", BATCHES)
def test_the_loss_equals_enumeration(lengths: list[int], share: float):
    potentials, tensor = random_potentials(sum(lengths), 2, seed=len(lengths)), as_tensor(lengths)
    allowed = allowed_tags(potentials, tensor, share)
    expected = []
    for post in post_slices(lengths):
        rows = allowed[post].tolist()
        compatible = probability(
            path_probabilities(potentials, post),
            lambda path, rows=rows: all(row[tag] for row, tag in zip(rows, path, strict=True)),
        )
        expected.append(-math.log(compatible))
    loss = negative_log_likelihood(potentials, tensor, allowed)
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


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("lengths", [[3, 0, 1, 4], [1], [0]])
def test_gradients_equal_finite_differences(lengths: list[int], share: float):
    tensor, potentials = torch.tensor(lengths), random_potentials(sum(lengths), 2)
    allowed = allowed_tags(potentials, tensor, share)
    # Different weights of the posts, to detect a gradient in the wrong post.
    weights = torch.arange(1, len(lengths) + 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *scores: negative_log_likelihood(Potentials(*scores), tensor, allowed) * weights,
        [scores.requires_grad_() for scores in potentials.tensors()],
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 3), st.sampled_from([0.0, 0.4]))
def test_the_results_of_a_post_do_not_depend_on_its_batch(
    lengths: list[int], n_labels: int, share: float
):
    def results(potentials: Potentials, lengths: list[int], allowed: Tensor) -> list[Tensor]:
        tensor, spans = as_tensor(lengths), all_spans(lengths, n_labels)
        scores = span_probabilities(potentials, tensor, spans)
        loss = negative_log_likelihood(potentials, tensor, allowed)
        return [loss, viterbi(potentials, tensor), scores]

    potentials = random_potentials(sum(lengths), n_labels, dtype=torch.float32)
    allowed = allowed_tags(potentials, as_tensor(lengths), share)
    separate = [
        results(
            replace(potentials, emissions=potentials.emissions[post]),
            [post.stop - post.start],
            allowed[post],
        )
        for post in post_slices(lengths)
    ]
    together = results(potentials, lengths, allowed)
    for ours, theirs in zip(together, zip(*separate, strict=True), strict=False):
        assert torch.allclose(ours, torch.cat(theirs), atol=1e-5)


@pytest.mark.parametrize("n_tokens", [1, 200])
def test_probabilities_from_float32_potentials_are_exact_in_long_posts(n_tokens: int):
    potentials = random_potentials(n_tokens, 3, dtype=torch.float32)
    potentials = replace(potentials, emissions=potentials.emissions * 10)
    exact = potentials.with_tensors([tensor.double() for tensor in potentials.tensors()])
    lengths, spans = torch.tensor([n_tokens]), all_spans([min(n_tokens, 9)], 3)
    scores = span_probabilities(potentials, lengths, spans)
    assert scores.dtype == torch.float32
    expected = span_probabilities(exact, lengths, spans)
    assert torch.allclose(scores.double(), expected, atol=1e-6)


def test_large_scores_do_not_overflow():
    potentials, lengths = random_potentials(40, 2, dtype=torch.float32), torch.tensor([40])
    emissions = (potentials.emissions * 1000).requires_grad_()
    potentials = replace(potentials, emissions=emissions)
    tags = viterbi(potentials, lengths)
    loss = negative_log_likelihood(potentials, lengths, one_hot(tags, 5))
    loss.sum().backward()
    assert loss.item() == pytest.approx(0, abs=0.1)
    assert emissions.grad.isfinite().all()
    first, end, label = entities_of(tags.tolist())[0]
    spans = torch.tensor([[first, end - 1, label], [first, end - 1, 1 - label]])
    assert span_probabilities(potentials, lengths, spans).tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize("partial", [False, True])
def test_an_annotation_that_bio_excludes_has_no_loss_and_no_gradient(partial: bool):
    potentials = random_potentials(5, 1, dtype=torch.float32)
    emissions = potentials.emissions.requires_grad_()
    allowed = one_hot(torch.tensor([0, 2, 0, 1, 2]), 3)  # O I-X | O B-X I-X
    allowed[2] |= partial
    loss = negative_log_likelihood(potentials, torch.tensor([2, 3]), allowed)
    loss.sum().backward()
    assert loss[0] == 0 and loss[1] > 0
    assert emissions.grad.any(dim=1).tolist() == [False, False, True, True, True]


def test_nan_potentials_change_only_the_results_of_their_post():
    potentials, lengths = random_potentials(6, 2), torch.tensor([3, 3])

    def results() -> tuple[Tensor, Tensor]:
        tags = one_hot(torch.tensor([0, 0, 0, 0, 1, 2]), 5)
        spans = torch.tensor([[3, 4, 0]])
        loss = negative_log_likelihood(potentials, lengths, tags)
        return loss, span_probabilities(potentials, lengths, spans)

    (_, expected_loss), expected_scores = results()
    potentials.emissions[0] = torch.nan
    loss, scores = results()
    assert loss[0].isnan() and loss[1] == expected_loss
    torch.testing.assert_close(scores, expected_scores)


def test_without_labels_all_tokens_are_outside():
    assert viterbi(random_potentials(3, 0), torch.tensor([1, 2])).tolist() == [0, 0, 0]

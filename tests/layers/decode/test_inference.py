from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_mner.layers.decode import Potentials, span_probabilities, viterbi
from spacy_mner.layers.decode.bio import entities_of

from .enumeration import BATCHES, path_probabilities, post_slices, random_potentials


def all_spans(lengths: list[int], n_labels: int) -> Tensor:
    spans = [
        (first, last, label)
        for post in post_slices(lengths)
        for first in range(post.start, post.stop)
        for last in range(first, post.stop)
        for label in range(n_labels)
    ]
    return torch.tensor(spans, dtype=torch.int64).reshape(-1, 3)


def potentials_of(lengths: list[int], allowed_share: float) -> Potentials:
    """Random potentials, with one path and about this share of the other tags allowed."""
    potentials = random_potentials(sum(lengths), 2)
    path = viterbi(random_potentials(sum(lengths), 2, seed=5), torch.tensor(lengths).long())
    random = torch.rand(sum(lengths), 5, generator=torch.Generator().manual_seed(1))
    return potentials.constrained((random < allowed_share).scatter(1, path.unsqueeze(1), True))


@pytest.mark.parametrize("allowed_share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("lengths", BATCHES)
def test_viterbi_equals_enumeration(lengths: list[int], allowed_share: float):
    potentials = potentials_of(lengths, allowed_share)
    tags = viterbi(potentials, torch.tensor(lengths, dtype=torch.int64))
    assert tags.dtype == torch.int64
    for post in post_slices(lengths):
        weights = path_probabilities(potentials, post)
        assert tuple(tags[post].tolist()) == max(weights, key=weights.__getitem__)


@pytest.mark.parametrize("allowed_share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("lengths", BATCHES)
def test_span_probabilities_equal_enumeration(lengths: list[int], allowed_share: float):
    potentials = potentials_of(lengths, allowed_share)
    spans = all_spans(lengths, 2)
    result = span_probabilities(potentials, torch.tensor(lengths, dtype=torch.int64), spans)
    assert result.shape == (len(spans),)
    expected = dict.fromkeys(map(tuple, spans.tolist()), 0.0)
    for post in post_slices(lengths):
        for path, weight in path_probabilities(potentials, post).items():
            if weight > 0:
                for first, end, label in entities_of(path):
                    expected[first + post.start, end - 1 + post.start, label] += weight
    assert result.tolist() == pytest.approx(list(expected.values()), abs=1e-8)


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


def test_a_certain_span_has_probability_one():
    potentials = random_potentials(4, 1, dtype=torch.float32)
    emissions = torch.full((4, 3), -500.0)
    emissions[torch.arange(4), torch.tensor([0, 1, 2, 0])] = 500.0
    potentials = replace(potentials, emissions=emissions)
    spans = torch.tensor([[1, 2, 0], [1, 1, 0], [1, 3, 0]])
    assert span_probabilities(potentials, torch.tensor([4]), spans).tolist() == [1, 0, 0]


def test_without_labels_all_tokens_are_outside():
    assert viterbi(random_potentials(3, 0), torch.tensor([1, 2])).tolist() == [0, 0, 0]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 3))
def test_the_results_of_a_post_do_not_depend_on_its_batch(lengths: list[int], n_labels: int):
    tensor = torch.tensor(lengths, dtype=torch.int64)
    potentials = random_potentials(sum(lengths), n_labels, dtype=torch.float32)
    spans = all_spans(lengths, n_labels)
    tags, scores = viterbi(potentials, tensor), span_probabilities(potentials, tensor, spans)
    for post in post_slices(lengths):
        separate = replace(potentials, emissions=potentials.emissions[post])
        length = torch.tensor([post.stop - post.start])
        own = (spans[:, 0] >= post.start) & (spans[:, 0] < post.stop)
        shifted = spans[own] - torch.tensor([post.start, post.start, 0])
        assert torch.equal(tags[post], viterbi(separate, length))
        expected = span_probabilities(separate, length, shifted)
        assert torch.allclose(scores[own], expected, atol=1e-6)


def test_nan_potentials_change_only_their_post():
    potentials = random_potentials(6, 2)
    clean = span_probabilities(potentials, torch.tensor([3, 3]), torch.tensor([[3, 4, 0]]))
    potentials.emissions[0] = torch.nan
    poisoned = span_probabilities(potentials, torch.tensor([3, 3]), torch.tensor([[3, 4, 0]]))
    torch.testing.assert_close(poisoned, clean)

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_mner.layers.decode import (
    Potentials,
    entities_of,
    marginals,
    span_probabilities,
    viterbi,
)

from .enumeration import path_probabilities, post_slices, probability, random_potentials

BATCHES = [[3, 1, 4, 0, 2], [1], [0, 0], [], [0, 5], [2, 2, 2]]


def all_spans(lengths: list[int], n_labels: int) -> Tensor:
    spans = [
        (first, last, label)
        for post in post_slices(lengths)
        for first in range(post.start, post.stop)
        for last in range(first, post.stop)
        for label in range(n_labels)
    ]
    return torch.tensor(spans, dtype=torch.int64).reshape(-1, 3)


def potentials_of(lengths: list[int], constrained: bool) -> Potentials:
    """Random potentials, and if constrained, with about half of the tags forbidden."""
    potentials = random_potentials(sum(lengths), 2)
    if not constrained:
        return potentials
    path = viterbi(random_potentials(sum(lengths), 2, seed=5), torch.tensor(lengths).long())
    allowed = torch.rand(sum(lengths), 5, generator=torch.Generator().manual_seed(1)) < 0.5
    return potentials.constrained(allowed.scatter(1, path.unsqueeze(1), True))


@pytest.mark.parametrize("lengths", BATCHES)
def test_only_allowed_tags_have_a_probability(lengths: list[int]):
    tensor = torch.tensor(lengths).long()
    allowed = torch.zeros(sum(lengths), 5, dtype=torch.bool)
    path = viterbi(random_potentials(sum(lengths), 2, seed=5), tensor)
    allowed[torch.arange(len(path)), path] = True
    potentials = random_potentials(sum(lengths), 2).constrained(allowed)
    assert torch.equal(viterbi(potentials, tensor), path)
    assert torch.equal(marginals(potentials, tensor), allowed.double())


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("lengths", BATCHES)
def test_marginals_equal_enumeration(lengths: list[int], constrained: bool):
    potentials = potentials_of(lengths, constrained)
    result = marginals(potentials, torch.tensor(lengths, dtype=torch.int64))
    assert result.shape == (sum(lengths), 5)
    for post in post_slices(lengths):
        weights = path_probabilities(potentials, post)
        for i, row in enumerate(result[post].tolist()):
            expected = [
                probability(weights, lambda path, i=i, tag=tag: path[i] == tag) for tag in range(5)
            ]
            assert row == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("lengths", BATCHES)
def test_viterbi_equals_enumeration(lengths: list[int], constrained: bool):
    potentials = potentials_of(lengths, constrained)
    tags = viterbi(potentials, torch.tensor(lengths, dtype=torch.int64))
    assert tags.dtype == torch.int64
    for post in post_slices(lengths):
        weights = path_probabilities(potentials, post)
        assert tuple(tags[post].tolist()) == max(weights, key=weights.__getitem__)


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("lengths", BATCHES)
def test_span_probabilities_equal_enumeration(lengths: list[int], constrained: bool):
    potentials = potentials_of(lengths, constrained)
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
    result = marginals(potentials, lengths)
    assert result.dtype == torch.float32
    assert torch.allclose(result.double(), marginals(exact, lengths), atol=1e-6)
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
    potentials, lengths = random_potentials(3, 0), torch.tensor([1, 2])
    assert viterbi(potentials, lengths).tolist() == [0, 0, 0]
    assert marginals(potentials, lengths).tolist() == [[1], [1], [1]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 3))
def test_the_results_of_a_post_do_not_depend_on_its_batch(lengths: list[int], n_labels: int):
    tensor = torch.tensor(lengths, dtype=torch.int64)
    potentials = random_potentials(sum(lengths), n_labels, dtype=torch.float32)
    spans = all_spans(lengths, n_labels)
    tags, tag_probabilities = viterbi(potentials, tensor), marginals(potentials, tensor)
    scores = span_probabilities(potentials, tensor, spans)
    for post in post_slices(lengths):
        separate = replace(potentials, emissions=potentials.emissions[post])
        length = torch.tensor([post.stop - post.start])
        own = (spans[:, 0] >= post.start) & (spans[:, 0] < post.stop)
        shifted = spans[own] - torch.tensor([post.start, post.start, 0])
        assert torch.equal(tags[post], viterbi(separate, length))
        assert torch.allclose(tag_probabilities[post], marginals(separate, length), atol=1e-6)
        expected = span_probabilities(separate, length, shifted)
        assert torch.allclose(scores[own], expected, atol=1e-6)


def test_nan_potentials_change_only_their_post():
    potentials = random_potentials(6, 2)
    clean = span_probabilities(potentials, torch.tensor([3, 3]), torch.tensor([[3, 4, 0]]))
    potentials.emissions[0] = torch.nan
    poisoned = span_probabilities(potentials, torch.tensor([3, 3]), torch.tensor([[3, 4, 0]]))
    torch.testing.assert_close(poisoned, clean)

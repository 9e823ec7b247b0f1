from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from spacy_mner.layers.ragged import (
    Packing,
    from_grid,
    pool_regions,
    posts_of_tokens,
    to_grid,
    token_mask,
)
from spacy_mner.layers.types import RegionVectors

BATCHES = [[2, 0, 3, 1], [0, 0], [], [4]]


def lengths_of(lengths: list[int]) -> torch.Tensor:
    return torch.tensor(lengths, dtype=torch.int64)


def test_a_grid_has_a_zero_padded_row_per_post():
    flat = torch.tensor([[1.0], [2.0], [3.0]])
    grid, mask = to_grid(flat, lengths_of([1, 0, 2]))
    assert grid.squeeze(2).tolist() == [[1, 0], [0, 0], [2, 3]]
    assert mask.tolist() == [[True, False], [False, False], [True, True]]


@pytest.mark.parametrize("lengths", BATCHES)
def test_from_grid_inverts_to_grid(lengths: list[int]):
    flat = torch.randn(sum(lengths), 3)
    grid, mask = to_grid(flat, lengths_of(lengths))
    assert torch.equal(from_grid(grid, lengths_of(lengths)), flat)
    assert torch.equal(grid[mask], flat)
    assert torch.equal(mask, token_mask(lengths_of(lengths)))


def test_posts_of_tokens_returns_the_post_of_each_token():
    assert posts_of_tokens(lengths_of([2, 0, 1])).tolist() == [0, 0, 2]


def test_pooling_returns_the_mean_of_the_available_regions():
    regions = torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]], [[9.0], [11.0]]])
    available = torch.tensor([[True, True], [False, True], [False, False]])
    pooled = pool_regions(RegionVectors(regions, available), lengths_of([2, 1, 1]))
    assert pooled.vectors.squeeze(1).tolist() == [2, 2, 7, 0]
    assert pooled.available.tolist() == [True, True, True, False]


def test_pooling_without_regions_returns_unavailable_zeros():
    modality = RegionVectors(torch.zeros(2, 0, 3), torch.zeros(2, 0, dtype=torch.bool))
    pooled = pool_regions(modality, lengths_of([1, 2]))
    assert torch.equal(pooled.vectors, torch.zeros(3, 3))
    assert not pooled.available.any()


def test_packing_equals_pack_sequence_of_torch():
    lengths = [2, 0, 3, 1, 3]
    flat = torch.randn(sum(lengths), 2)
    packing = Packing.of(lengths_of(lengths), flat.device)
    packed = packing.pack(flat)
    posts = [post for post in flat.split(lengths) if len(post)]
    expected = pack_sequence(posts, enforce_sorted=False)
    assert torch.equal(packed.batch_sizes, expected.batch_sizes)
    assert torch.equal(packed.data, expected.data)
    assert torch.equal(packing.unpack(packed), flat)


@pytest.mark.parametrize("lengths", BATCHES)
def test_packing_returns_first_last_and_following_tokens(lengths: list[int]):
    packing = Packing.of(lengths_of(lengths), torch.device("cpu"))
    ends = torch.tensor(lengths, dtype=torch.int64).cumsum(0).tolist()
    first = [end - length for end, length in zip(ends, lengths, strict=True) if length]
    last = [end - 1 for end, length in zip(ends, lengths, strict=True) if length]
    assert sorted(packing.first.tolist()) == first
    assert sorted(packing.last.tolist()) == last
    assert sorted(packing.following.tolist()) == sorted(set(range(sum(lengths))) - set(first))
    tokens = torch.arange(sum(lengths))
    assert torch.equal(packing.forward[packing.unpack_forward], tokens)
    assert torch.equal(packing.backward[packing.unpack_backward], tokens)

"""Sums of text modalities; for their gate see `test_cross_modal`."""

from __future__ import annotations

import pytest
import torch

from spacy_mner.layers.fuse.text_sum import TextSum
from spacy_mner.layers.types import Embedded, RegionVectors, TokenVectors

WIDTHS = {"word": 4, "near": 4, "char": 3}


def tokens(width: int, available: list[bool] | None = None) -> TokenVectors:
    mask = torch.tensor(available or [True] * 5)
    return TokenVectors(torch.randn(5, width, dtype=torch.float64), mask)


def text_sum(dropout: float = 0.0) -> TextSum:
    torch.manual_seed(0)
    return TextSum(widths=WIDTHS, width=4, gated=None, dropout=dropout).double()


@pytest.fixture
def embedded() -> dict[str, Embedded]:
    return {name: tokens(width) for name, width in WIDTHS.items()}


def test_available_modalities_are_added_and_only_those_of_another_width_are_projected(embedded):
    available = torch.tensor([True, False, True, False, True])
    embedded["char"] = tokens(3, available.tolist())
    embedded["char"].vectors[~available] = 1e6
    summed = text_sum()
    names = [name for name, _ in summed.named_parameters()]
    assert names == ["projections.2.weight", "projections.2.bias"]
    expected = embedded["word"].vectors + embedded["near"].vectors
    expected[available] += summed.projections[2](embedded["char"].vectors[available])
    assert torch.allclose(summed(embedded), expected)


def test_modalities_with_regions_are_ignored(embedded):
    summed = text_sum()
    regions = RegionVectors(torch.randn(2, 1, 4), torch.ones(2, 1, dtype=torch.bool))
    expected = summed({**embedded, "near": tokens(4, [False] * 5)})
    assert torch.equal(summed({**embedded, "near": regions}), expected)


def test_dropout_applies_to_the_sum(embedded):
    full, dropped = text_sum()(embedded), text_sum(dropout=0.5)(embedded)
    kept = dropped != 0
    assert kept.any() and not kept.all()
    assert torch.allclose(dropped[kept], 2 * full[kept])

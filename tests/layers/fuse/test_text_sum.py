from __future__ import annotations

import numpy as np
import pytest
import torch

from spacy_mner.layers.fuse.text_sum import TextSum
from spacy_mner.layers.types import Embedded, RegionVectors, TokenVectors

WIDTHS = {"word": 4, "near": 4, "char": 3}


def tokens(width: int, available: list[bool] | None = None) -> TokenVectors:
    mask = torch.tensor(available or [True] * 5)
    return TokenVectors(torch.randn(5, width, dtype=torch.float64), mask)


def text_sum(gated: str | None = None, dropout: float = 0.0) -> TextSum:
    torch.manual_seed(0)
    return TextSum(widths=WIDTHS, width=4, gated=gated, dropout=dropout).double()


@pytest.fixture
def embedded() -> dict[str, Embedded]:
    return {name: tokens(width) for name, width in WIDTHS.items()}


def projected(summed: TextSum, embedded: dict[str, Embedded]) -> torch.Tensor:
    project = summed.projections[2]
    return embedded["char"].vectors @ project.weight.T + project.bias


def test_modalities_are_added_and_only_those_of_another_width_are_projected(embedded):
    summed = text_sum()
    assert [name for name, _ in summed.named_parameters()] == [
        "projections.2.weight",
        "projections.2.bias",
    ]
    expected = embedded["word"].vectors + embedded["near"].vectors + projected(summed, embedded)
    assert torch.allclose(summed(embedded), expected)


def test_the_gate_mixes_the_augmentation_and_the_other_text_modalities(embedded):
    summed = text_sum(gated="near")
    x = (embedded["word"].vectors + projected(summed, embedded)).detach().numpy()
    a = embedded["near"].vectors.numpy()
    w1, w2 = np.split(summed.gate.linear.weight.detach().numpy(), 2, axis=1)
    g = 1 / (1 + np.exp(-(x @ w1.T + a @ w2.T + summed.gate.linear.bias.detach().numpy())))
    np.testing.assert_allclose(summed(embedded).detach(), g * x + (1 - g) * a, atol=1e-12)


def test_unavailable_modalities_are_left_out_of_the_sum(embedded):
    embedded["char"] = tokens(3, [True, False, True, False, True])
    embedded["char"].vectors[[1, 3]] = 1e6
    summed = text_sum()
    rest = embedded["word"].vectors + embedded["near"].vectors
    expected = rest + projected(summed, embedded)
    text = summed(embedded)
    assert torch.allclose(text[[1, 3]], rest[[1, 3]])
    assert torch.allclose(text[[0, 2, 4]], expected[[0, 2, 4]])


def test_a_token_without_augmentation_is_not_gated(embedded):
    embedded["near"] = tokens(4, [True, True, False, True, True])
    summed = text_sum(gated="near")
    rest = embedded["word"].vectors + projected(summed, embedded)
    text = summed(embedded)
    assert torch.equal(text[2], rest[2])
    assert not torch.isclose(text[[0, 1, 3, 4]], rest[[0, 1, 3, 4]]).any()


def test_modalities_with_regions_are_ignored(embedded):
    summed = text_sum()
    expected = embedded["word"].vectors + projected(summed, embedded)
    embedded["near"] = RegionVectors(torch.randn(2, 1, 4), torch.ones(2, 1, dtype=torch.bool))
    assert torch.allclose(summed(embedded), expected)


def test_dropout_applies_to_the_sum(embedded):
    full, dropped = text_sum()(embedded), text_sum(dropout=0.5)(embedded)
    kept = dropped != 0
    assert kept.any() and not kept.all()
    assert torch.allclose(dropped[kept], 2 * full[kept])

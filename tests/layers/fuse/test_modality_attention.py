from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spacy_mner.layers.fuse import Concatenate, ModalityAttention
from spacy_mner.layers.types import Embedded, RegionVectors, TokenVectors

LENGTHS = torch.tensor([2, 0, 3])
N_TOKENS, WIDTH = 5, 4
NAMES = ("word", "char", "image")
EVERYWHERE = torch.ones(N_TOKENS, dtype=torch.bool)


def tokens(available: torch.Tensor = EVERYWHERE, scale: float = 1.0) -> TokenVectors:
    return TokenVectors(torch.randn(N_TOKENS, WIDTH) * scale, available)


def attention(**settings: Any) -> ModalityAttention:
    torch.manual_seed(0)
    published = {"bounded": True, "combine": "sum", "skip_unknown": False}
    widths = dict.fromkeys(NAMES, WIDTH)
    return ModalityAttention(**{"widths": widths, "dropout": 0.0, **published, **settings})


def by_equations(
    fuser: ModalityAttention, token: list[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Fused vector and weights of one token by equation 4, or 5 where a modality is None."""
    kept = [m for m, x in enumerate(token) if x is not None]
    parts, weights = np.zeros((3, WIDTH)), np.zeros(3)
    if kept:
        w = fuser.score.weight.detach().numpy().reshape(3, 3, WIDTH)[kept][:, kept]
        a = w.reshape(len(kept), -1) @ np.concatenate([token[m] for m in kept])
        a = a + fuser.score.bias.detach().numpy()[kept]
        a = np.exp(1 / (1 + np.exp(-a)) if fuser.bounded else a)
        weights[kept] = a / a.sum()
        parts[kept] = [weights[m] * token[m] for m in kept]
    return parts.sum(0) if fuser.combine == "sum" else len(kept) * parts.ravel(), weights


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("combine", ["sum", "concatenate"])
def test_outputs_equal_the_published_equations_with_and_without_modalities(bounded, combine):
    fuser = attention(bounded=bounded, combine=combine)
    available = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]]).bool()
    embedded = {name: tokens(available[:, m]) for m, name in enumerate(NAMES)}
    fused = fuser(embedded, LENGTHS)
    for i in range(N_TOKENS):
        token = [m.vectors[i].numpy() if m.available[i] else None for m in embedded.values()]
        vector, weights = by_equations(fuser, token)
        np.testing.assert_allclose(fused.vectors[i].detach(), vector, atol=1e-6)
        np.testing.assert_allclose(fused.attention[i].detach(), weights, atol=1e-6)


def test_the_image_of_a_post_joins_its_tokens():
    fuser, regions = attention(), torch.randn(3, 1, WIDTH)
    image = RegionVectors(regions, torch.tensor([[True], [True], [False]]))
    per_token = TokenVectors(regions[[0, 0, 2, 2, 2], 0], torch.arange(N_TOKENS) < 2)
    text: dict[str, Embedded] = {"word": tokens(), "char": tokens()}
    fused, expected = (fuser({**text, "image": one}, LENGTHS) for one in (image, per_token))
    assert torch.allclose(fused.vectors, expected.vectors, atol=1e-6)
    assert torch.allclose(fused.attention, expected.attention, atol=1e-6)


def test_with_equal_weights_combine_concatenate_equals_concatenation():
    fuser = attention(combine="concatenate")
    torch.nn.init.zeros_(fuser.score.weight)
    torch.nn.init.zeros_(fuser.score.bias)
    embedded = {name: tokens() for name in NAMES}
    plain = Concatenate(widths=dict.fromkeys(NAMES, WIDTH), dropout=0.0)
    assert fuser.width == plain.width
    assert torch.allclose(
        fuser(embedded, LENGTHS).vectors, plain(embedded, LENGTHS).vectors, atol=1e-6
    )


def test_a_token_without_any_modality_gets_finite_gradients():
    fuser, available = attention(), torch.tensor([True, False, True, True, True])
    embedded = {name: tokens(available) for name in NAMES}
    vectors = embedded["word"].vectors.requires_grad_()
    fuser(embedded, LENGTHS).vectors.sum().backward()
    assert vectors.grad.isfinite().all()
    assert fuser.score.weight.grad.isfinite().all()


def test_the_sigmoid_bounds_the_weights():
    embedded = {name: tokens(scale=100) for name in NAMES}
    bounded = attention()(embedded, LENGTHS).attention
    assert bounded.min() >= 0.155 and bounded.max() <= 0.577
    free = attention(bounded=False)(embedded, LENGTHS).attention
    assert free.min() < 0.01 and free.max() > 0.99


def test_modalities_of_different_widths_raise_an_error_that_lists_them():
    with pytest.raises(ValueError, match=r"word = 4, image = 5.*Concatenate"):
        attention(widths={"word": 4, "image": 5})


@pytest.mark.parametrize("combine", ["sum", "concatenate"])
def test_skip_unknown_treats_an_unknown_word_as_absent(combine):
    fuser = attention(bounded=False, combine=combine, skip_unknown=True)
    known = torch.tensor([True, True, False, True, False])
    embedded = {name: tokens() for name in NAMES}
    vectors = embedded["word"].vectors
    embedded["word"] = TokenVectors(vectors, EVERYWHERE, known)
    absent = {**embedded, "word": TokenVectors(vectors, known)}
    fused, expected = fuser(embedded, LENGTHS), fuser(absent, LENGTHS)
    assert torch.equal(fused.attention, expected.attention)
    assert torch.equal(fused.vectors, expected.vectors)
    assert (fused.attention[:, 0] > 0).equal(known)


def test_skip_unknown_keeps_available_modalities_where_none_is_known():
    fuser = attention(widths={"word": WIDTH}, skip_unknown=True)
    available = torch.tensor([True, True, True, True, False])
    word = TokenVectors(tokens().vectors, available, torch.zeros(N_TOKENS, dtype=torch.bool))
    assert fuser({"word": word}, LENGTHS).attention[:, 0].tolist() == [1, 1, 1, 1, 0]

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


def tokens(available: list[bool] | None = None, scale: float = 1.0) -> TokenVectors:
    mask = torch.tensor(available) if available else torch.ones(N_TOKENS, dtype=torch.bool)
    return TokenVectors(torch.randn(N_TOKENS, WIDTH) * scale, mask)


def attention(**settings: Any) -> ModalityAttention:
    torch.manual_seed(0)
    published = {"bounded": True, "combine": "sum", "skip_unknown": False}
    widths = dict.fromkeys(NAMES, WIDTH)
    return ModalityAttention(**{"widths": widths, "dropout": 0.0, **published, **settings})


def without(fuser: ModalityAttention, modality: int) -> ModalityAttention:
    """The fuser of equation 5: without the rows and columns of one modality."""
    kept = [i for i in range(3) if i != modality]
    widths = dict.fromkeys((NAMES[i] for i in kept), WIDTH)
    smaller = attention(widths=widths, bounded=fuser.bounded)
    blocks = fuser.score.weight.detach().unflatten(1, (3, WIDTH))
    smaller.score.weight.data = blocks[kept][:, kept].flatten(1)
    smaller.score.bias.data = fuser.score.bias.detach()[kept]
    return smaller


@pytest.mark.parametrize("bounded", [True, False])
def test_outputs_equal_equation_4(bounded: bool):
    fuser = attention(bounded=bounded)
    embedded = {name: tokens() for name in NAMES}
    fused = fuser(embedded, LENGTHS)

    x = np.stack([embedded[name].vectors.numpy() for name in NAMES])
    w, b = fuser.score.weight.detach().numpy(), fuser.score.bias.detach().numpy()
    for i in range(N_TOKENS):
        a = w @ x[:, i].reshape(-1) + b
        if bounded:
            a = 1 / (1 + np.exp(-a))
        alpha = np.exp(a) / np.exp(a).sum()
        assert fused.attention[i].tolist() == pytest.approx(alpha.tolist(), abs=1e-6)
        expected = sum(alpha[m] * x[m, i] for m in range(3))
        assert fused.vectors[i].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_concatenated_modalities_are_scaled_by_their_weights():
    fuser = attention(combine="concatenate")
    embedded: dict[str, Embedded] = {name: tokens() for name in NAMES}
    embedded["image"] = tokens([True, True, True, True, False])
    fused = fuser(embedded, LENGTHS)
    assert fuser.width == 3 * WIDTH
    weights = attention()(embedded, LENGTHS).attention
    assert torch.allclose(fused.attention, weights)
    for i, there in enumerate([3, 3, 3, 3, 2]):
        parts = [there * weights[i, m] * embedded[n].vectors[i] for m, n in enumerate(NAMES)]
        assert torch.allclose(fused.vectors[i], torch.cat(parts), atol=1e-6)
    assert torch.equal(fused.vectors[4, 2 * WIDTH :], torch.zeros(WIDTH))


def test_with_equal_weights_combine_concatenate_equals_concatenation():
    fuser = attention(combine="concatenate")
    torch.nn.init.zeros_(fuser.score.weight)
    torch.nn.init.zeros_(fuser.score.bias)
    embedded = {name: tokens() for name in NAMES}
    plain = Concatenate(widths=dict.fromkeys(NAMES, WIDTH), dropout=0.0)
    assert torch.allclose(
        fuser(embedded, LENGTHS).vectors, plain(embedded, LENGTHS).vectors, atol=1e-6
    )


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_without_one_modality_outputs_equal_equation_5(absent: int, bounded: bool):
    fuser = attention(bounded=bounded)
    embedded: dict[str, Embedded] = {name: tokens() for name in NAMES}
    embedded[NAMES[absent]] = tokens([False] * N_TOKENS)
    fused = fuser(embedded, LENGTHS)
    expected = without(fuser, absent)(embedded, LENGTHS)
    kept = [i for i in range(3) if i != absent]
    assert torch.allclose(fused.vectors, expected.vectors, atol=1e-6)
    assert torch.allclose(fused.attention[:, kept], expected.attention, atol=1e-6)
    assert torch.equal(fused.attention[:, absent], torch.zeros(N_TOKENS))


def test_a_post_without_image_gets_the_output_of_the_text_modalities():
    fuser = attention()
    available = torch.tensor([[True], [True], [False]])
    image = RegionVectors(torch.randn(3, 1, WIDTH), available)
    embedded: dict[str, Embedded] = {"word": tokens(), "char": tokens(), "image": image}
    fused = fuser(embedded, LENGTHS)
    text_only = without(fuser, 2)(embedded, LENGTHS)
    assert torch.allclose(fused.vectors[2:], text_only.vectors[2:], atol=1e-6)
    assert not torch.allclose(fused.vectors[:2], text_only.vectors[:2], atol=1e-3)
    assert torch.equal(fused.attention[2:, 2], torch.zeros(3))
    assert (fused.attention[:2, 2] > 0).all()


def test_a_token_without_any_modality_gets_zeros_and_finite_gradients():
    fuser = attention()
    embedded = {name: tokens([True, False, True, True, True]) for name in NAMES}
    vectors = embedded["word"].vectors.requires_grad_()
    fused = fuser(embedded, LENGTHS)
    fused.vectors.sum().backward()
    assert torch.equal(fused.vectors[1], torch.zeros(WIDTH))
    assert fused.attention.sum(1).tolist() == pytest.approx([1, 0, 1, 1, 1])
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
    first = embedded["word"]
    embedded["word"] = TokenVectors(first.vectors, first.available, known)
    absent = {**embedded, "word": TokenVectors(first.vectors, known)}
    fused, expected = fuser(embedded, LENGTHS), fuser(absent, LENGTHS)
    assert torch.equal(fused.attention, expected.attention)
    assert torch.equal(fused.vectors, expected.vectors)
    assert (fused.attention[~known, 0] == 0).all() and (fused.attention[known, 0] > 0).all()


def test_skip_unknown_keeps_available_modalities_where_none_is_known():
    fuser = attention(widths={"word": WIDTH}, skip_unknown=True)
    word = tokens([True, True, True, True, False])
    unknown = torch.zeros(N_TOKENS, dtype=torch.bool)
    fused = fuser({"word": TokenVectors(word.vectors, word.available, unknown)}, LENGTHS)
    assert fused.attention[:, 0].tolist() == [1, 1, 1, 1, 0]

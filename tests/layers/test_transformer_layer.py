from __future__ import annotations

import pytest
import torch
from torch import nn

from spacy_mner.layers.transformer_layer import TransformerLayer


def layer(dropout: float = 0.0) -> TransformerLayer:
    torch.manual_seed(0)
    made = TransformerLayer(width=6, heads=3, feedforward=8, dropout=dropout).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def vectors(n: int, *, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, 6, generator=generator, dtype=torch.float64)


def all_of(n: int) -> torch.Tensor:
    return torch.ones(2, n, dtype=torch.bool)


def test_self_attention_equals_the_encoder_layer_of_torch():
    ours = layer()
    theirs = nn.TransformerEncoderLayer(6, 3, 8, 0.0, "gelu", batch_first=True).double()
    names = {
        "self_attn": "attention",
        "linear1": "feedforward.0",
        "linear2": "feedforward.2",
        "norm1": "attention_norm",
        "norm2": "output_norm",
    }
    weights = ours.state_dict()
    for name in theirs.state_dict():
        part, _, rest = name.partition(".")
        theirs.state_dict()[name].copy_(weights[f"{names[part]}.{rest}"])
    x, available = vectors(4), torch.tensor([[True, True, True, False], [True] * 4])
    result, weights = ours(x, x, available)
    assert weights is None
    assert torch.allclose(result, theirs(x, src_key_padding_mask=~available), atol=1e-12)


def test_masked_keys_get_no_weight_and_do_not_change_the_output():
    ours, q, k = layer(), vectors(3), vectors(4, seed=2)
    available = torch.tensor([[True, False, True, False], [False, True, True, True]])
    result, weights = ours(q, k, available, need_weights=True)
    assert weights.shape == (2, 3, 4)
    assert not weights.masked_select(~available.unsqueeze(1)).any()
    assert torch.allclose(weights.sum(2), torch.ones(2, 3, dtype=torch.float64))
    for post in range(2):
        unmasked, _ = ours(
            q[[post]], k[[post]][:, available[post]], all_of(4)[[post], : available[post].sum()]
        )
        assert torch.allclose(result[post], unmasked[0], atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_returning_the_weights_does_not_change_the_output(training: bool):
    ours, q, k = layer().train(training), vectors(3), vectors(4, seed=2)
    with torch.set_grad_enabled(training):
        plain, _ = ours(q, k, all_of(4))
        kept, _ = ours(q, k, all_of(4), need_weights=True)
    assert torch.allclose(plain, kept, atol=1e-12)


def test_outputs_and_gradients_are_finite_without_available_keys():
    ours, q, k = layer(), vectors(3).requires_grad_(), vectors(4, seed=2).requires_grad_()
    available = torch.tensor([[False] * 4, [True] * 4])
    result, weights = ours(q, k, available, need_weights=True)
    result.square().sum().backward()
    for tensor in (result, weights, q.grad, k.grad):
        assert tensor.isfinite().all()


def test_without_queries_or_keys_the_output_are_the_queries():
    for n, m in ((0, 4), (3, 0), (0, 0)):
        result, weights = layer()(vectors(n), vectors(m), all_of(m), need_weights=True)
        assert torch.equal(result, vectors(n)) and weights.shape == (2, n, m)
        assert layer()(vectors(n), vectors(m), all_of(m))[1] is None


def test_dropout_applies_before_both_residual_connections():
    ours, q = layer(dropout=1 - 1e-9), vectors(3)
    result, _ = ours(q, vectors(4, seed=2), all_of(4))
    assert torch.allclose(result, ours.output_norm(ours.attention_norm(q)), atol=1e-12)


def test_a_width_that_is_no_multiple_of_heads_raises_an_error():
    with pytest.raises(ValueError, match=r"width = 6.*heads = 4"):
        TransformerLayer(width=6, heads=4, feedforward=8, dropout=0.0)

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_mner.layers.encode import BiLSTM, NoEncoder


def bilstm() -> BiLSTM:
    torch.manual_seed(0)
    return BiLSTM(input_width=4, hidden_width=3, dropout=0.5).eval()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=6))
def test_the_output_equals_a_plain_lstm_per_post(lengths: list[int]):
    encode = bilstm()
    vectors = torch.randn(sum(lengths), 4)
    encoded = encode(vectors, torch.tensor(lengths, dtype=torch.int64))
    with torch.no_grad():
        in_use = encode(vectors, torch.tensor(lengths, dtype=torch.int64))
    assert torch.allclose(in_use, encoded, atol=1e-6)
    assert encoded.shape == (sum(lengths), encode.width)
    for post, result in zip(vectors.split(lengths), encoded.split(lengths), strict=True):
        if len(post):
            assert torch.allclose(result, encode.lstm(post)[0], atol=1e-6)


def test_gradients_equal_those_of_a_plain_lstm():
    encode, lengths = bilstm(), [3, 0, 5, 1]
    vectors, upstream = torch.randn(9, 4, requires_grad=True), torch.randn(9, 6)
    parameters = [vectors, *encode.parameters()]
    encoded = encode(vectors, torch.tensor(lengths))
    result = torch.autograd.grad(encoded, parameters, upstream)
    plain = torch.cat([encode.lstm(post)[0] for post in vectors.split(lengths) if len(post)])
    expected = torch.autograd.grad(plain, parameters, upstream)
    for ours, theirs in zip(result, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_dropout_applies_to_the_output():
    encoded = bilstm().train()(torch.randn(50, 4), torch.tensor([50]))
    assert 0.3 < (encoded == 0).float().mean() < 0.7


def test_no_encoder_returns_its_input():
    vectors = torch.randn(3, 4)
    encode = NoEncoder(input_width=4)
    assert encode.width == 4
    assert torch.equal(encode(vectors, torch.tensor([1, 2])), vectors)

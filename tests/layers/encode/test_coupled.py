from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_mner.layers.encode import CoupledBiLSTM

Matrices = dict[str, np.ndarray]


def coupled(dropout: float = 0.0) -> CoupledBiLSTM:
    torch.manual_seed(0)
    encode = CoupledBiLSTM(input_width=4, hidden_width=3, dropout=dropout).double()
    torch.nn.init.uniform_(encode.input_projection.bias, -1, 1)
    return encode


def matrices_of(encode: CoupledBiLSTM, direction: int) -> Matrices:
    """The matrices of the equation, by their published names."""
    names = ["i", "c", "o"]
    of_input = encode.input_projection.weight.detach().numpy().reshape(2, 3, 3, 4)[direction]
    bias = encode.input_projection.bias.detach().numpy().reshape(2, 3, 3)[direction]
    recurrent = encode.recurrent_weight.detach().numpy()[direction].T.reshape(3, 3, 3)
    peephole = encode.peephole_weight.detach().numpy()[direction].T.reshape(2, 3, 3)
    return {
        **{f"W_x{name}": matrix for name, matrix in zip(names, of_input, strict=True)},
        **{f"W_h{name}": matrix for name, matrix in zip(names, recurrent, strict=True)},
        **{f"b_{name}": vector for name, vector in zip(names, bias, strict=True)},
        "W_co": peephole[0],
        "W_ci": peephole[1],
    }


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def recur(m: Matrices, post: np.ndarray) -> list[np.ndarray]:
    """Equation 1: the hidden states of the tokens of a post."""
    h = c = np.zeros(3)
    states = []
    for x in post:
        i = sigmoid(m["W_xi"] @ x + m["W_hi"] @ h + m["W_ci"] @ c + m["b_i"])
        c = (1 - i) * c + i * np.tanh(m["W_xc"] @ x + m["W_hc"] @ h + m["b_c"])
        o = sigmoid(m["W_xo"] @ x + m["W_ho"] @ h + m["W_co"] @ c + m["b_o"])
        h = o * np.tanh(c)
        states.append(h)
    return states


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=6))
def test_the_output_equals_the_published_equation_in_any_batch(lengths: list[int]):
    encode = coupled()
    vectors = torch.randn(sum(lengths), 4, dtype=torch.float64)
    encoded = encode(vectors, torch.tensor(lengths, dtype=torch.int64)).detach().numpy()
    assert encoded.shape == (sum(lengths), encode.width)
    forward, backward = matrices_of(encode, 0), matrices_of(encode, 1)
    start = 0
    for length in lengths:
        post = vectors[start : start + length].numpy()
        if length:
            expected = np.concatenate(
                [recur(forward, post), recur(backward, post[::-1])[::-1]], axis=1
            )
            np.testing.assert_allclose(encoded[start : start + length], expected, atol=1e-12)
        start += length


@pytest.mark.parametrize("lengths", [[3, 0, 4, 1], [1], [2, 2]])
def test_gradients_equal_finite_differences(lengths: list[int]):
    encode = coupled()
    vectors = torch.randn(sum(lengths), 4, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*encode.named_parameters(), strict=True)

    def run(vectors: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        given = (vectors, torch.tensor(lengths))
        return torch.func.functional_call(encode, dict(zip(names, parameters, strict=True)), given)

    assert torch.autograd.gradcheck(run, (vectors, *parameters))


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_a_batch_without_tokens_has_outputs_of_length_zero(lengths: list[int]):
    encoded = coupled().float()(torch.zeros(0, 4), torch.tensor(lengths, dtype=torch.int64))
    assert encoded.shape == (0, 6)


def test_the_recurrence_is_computed_without_autocast():
    encode = coupled().float()
    vectors, lengths = torch.randn(30, 4), torch.tensor([30])
    exact = encode(vectors, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoded = encode(vectors, lengths)
    assert encoded.dtype == torch.float32
    assert torch.allclose(encoded, exact, atol=0.02)


def test_dropout_applies_to_the_output():
    encoded = coupled(dropout=0.5).float().train()(torch.randn(50, 4), torch.tensor([50]))
    assert 0.3 < (encoded == 0).float().mean() < 0.7


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_results_equal_cpu_results():
    def results(device: str) -> list[torch.Tensor]:
        encode = coupled().to(device)
        vectors = torch.arange(40.0, dtype=torch.float64).sin().view(10, 4).to(device)
        encoded = encode(vectors, torch.tensor([3, 0, 6, 1]))
        encoded.sum().backward()
        return [t.detach().cpu() for t in (encoded, *(p.grad for p in encode.parameters()))]

    for ours, theirs in zip(results("cuda"), results("cpu"), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from thinc.api import Adam

from spacy_mner.models import shim as shims
from spacy_mner.models.shim import NetworkConfig, TorchShim


def linear(cfg: NetworkConfig, bias: bool = True) -> torch.nn.Linear:
    return torch.nn.Linear(cfg["n_in"], 2, bias=bias)


@pytest.fixture
def shim() -> TorchShim:
    shim = TorchShim(linear)
    shim.initialize({"n_in": 3})
    return shim


def test_bytes_rebuild_the_network_from_its_config(shim):
    other = TorchShim(linear).from_bytes(shim.to_bytes())
    assert other.cfg == {"n_in": 3}
    for one, two in zip(shim.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(one, two)


def test_an_unbuilt_shim_is_serialized():
    shim = TorchShim(linear).from_bytes(TorchShim(linear).to_bytes())
    assert not shim.is_built
    with pytest.raises(ValueError, match="initialize"):
        shim.network  # noqa: B018 - reading it is what is tested


def test_weights_that_do_not_match_the_config_are_refused(shim):
    with pytest.raises(RuntimeError, match="bias"):
        TorchShim(partial(linear, bias=False)).from_bytes(shim.to_bytes())


def test_all_modules_are_in_the_mode_of_the_call():
    shim = TorchShim(lambda cfg: torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout()))
    shim.initialize({})
    for is_train in (True, False, False, True):
        shim((torch.ones(1, 3),), is_train=is_train)
        assert {module.training for module in shim.network.modules()} == {is_train}


def test_an_update_moves_the_weights_as_adam_would(shim):
    inputs = torch.tensor([[1.0, 2.0, 3.0]])
    reference = pickle.loads(pickle.dumps(shim.network))
    ours = Adam(0.1, grad_clip=0.0, use_averages=False, L2=0.0)
    theirs = torch.optim.Adam(reference.parameters(), lr=0.1)
    for _ in range(5):
        output, backprop = shim((inputs,), is_train=True)
        backprop([output], [2 * output.detach()])
        shim.finish_update(ours)
        (reference(inputs) ** 2).sum().backward()
        theirs.step()
        theirs.zero_grad()
    for one, two in zip(shim.network.parameters(), reference.parameters(), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), atol=1e-4)


def backpropagate(shim: TorchShim) -> torch.Tensor:
    """Gradients of the sum of the outputs; returns the outputs."""
    output, backprop = shim((torch.ones(1, 3),), is_train=True)
    backprop([output], [torch.ones_like(output)])
    return output


def test_parameters_are_updated_in_place(shim):
    """cuDNN lays a recurrent layer's weights out contiguously, which replacing them would undo."""
    before = [parameter.data_ptr() for parameter in shim.network.parameters()]
    backpropagate(shim)
    shim.finish_update(Adam(0.1))
    assert [parameter.data_ptr() for parameter in shim.network.parameters()] == before


def test_averages_of_the_optimizer_are_used_by_the_network(shim):
    optimizer = Adam(0.5, use_averages=True)
    for _ in range(3):
        backpropagate(shim)
        shim.finish_update(optimizer)
    weight = shim.network.weight
    trained = weight.detach().clone()
    with shim.use_params(optimizer.averages):
        np.testing.assert_array_equal(
            weight.detach().numpy(), optimizer.averages[shim.id, "weight"]
        )
        assert not torch.equal(weight, trained)
    assert torch.equal(weight, trained)


def test_weights_are_restored_when_the_block_raises(shim):
    before = shim.network.weight.detach().clone()
    averages = {(shim.id, "weight"): np.zeros((2, 3), np.float32)}
    with pytest.raises(RuntimeError), shim.use_params(averages):
        raise RuntimeError
    assert torch.equal(shim.network.weight, before)


def test_prediction_leaves_no_gradient_and_evaluation_mode(shim):
    output, _ = shim((torch.ones(1, 3),), is_train=False)
    assert not output.requires_grad
    assert not shim.network.training


@pytest.mark.parametrize("computes", [True, False])
def test_mixed_precision_is_for_machines_that_compute_it(monkeypatch, computes):
    monkeypatch.setattr(shims, "computes_bfloat16", lambda device: computes)
    shim = TorchShim(linear, mixed_precision=True)
    shim.initialize({"n_in": 3})
    assert backpropagate(shim).dtype == (torch.bfloat16 if computes else torch.float32)
    assert shim.network.weight.grad.dtype == torch.float32
    assert torch.equal(shim.network.weight.grad, torch.ones(2, 3))


def test_a_copy_has_an_id_of_its_own(shim):
    copied = shim.copy()
    assert copied.id != shim.id
    assert copied.network is not shim.network
    assert torch.equal(copied.network.weight, shim.network.weight)


def test_weights_saved_in_half_precision_are_computed_in_full_precision():
    shim = TorchShim(linear, saved_precision="float16")
    shim.initialize({"n_in": 3})
    data = shim.to_bytes()
    other = TorchShim(linear, saved_precision="float16").from_bytes(data)
    for one, two in zip(shim.network.parameters(), other.network.parameters(), strict=True):
        assert two.dtype == torch.float32
        assert torch.equal(one.half().float(), two)
    assert other.to_bytes() == data

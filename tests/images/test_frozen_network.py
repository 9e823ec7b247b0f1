"""What all image encoders have in common."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
import torch
from spacy.util import registry

from spacy_mner.images.encoders.saved_encoder import SavedEncoder
from spacy_mner.images.frozen_network import FrozenNetwork

from .samples import clock, noise

NETWORKS: dict[str, dict[str, Any]] = {
    "EfficientNetLite": {"regions": "grid", "runtime": "torch"},
    "Torchvision": {"model": "resnet18"},
}


def build(name: str, **settings: Any) -> FrozenNetwork:
    return registry.image_encoders.get(f"spacy_mner.{name}.v1")(**NETWORKS[name] | settings)


@pytest.fixture(scope="module", params=NETWORKS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def network(name) -> FrozenNetwork:
    return build(name)


def results(network: FrozenNetwork, *images) -> list[bytes]:
    return [network.to_bytes(result) for result in network.compute(images)]


def test_a_network_is_loaded_at_the_first_image(name):
    network = build(name)
    assert re.fullmatch(r"[\w-]+", network.fingerprint)
    assert network.compute([]) == []
    assert network._network is None


def test_the_result_of_an_image_does_not_depend_on_the_batch(network):
    images = [noise(30, 70), clock(), noise(64, 20)]
    one_by_one = [result for image in images for result in results(network, image)]
    assert results(network, *images) == one_by_one


def test_computing_changes_neither_weights_nor_statistics(network):
    module, _ = network.network_on(None)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    network.compute([noise(), clock()])
    assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_loading_neither_uses_nor_changes_the_global_random_state(name, network):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert results(build(name), clock()) == results(network, clock())
    assert torch.equal(before, torch.get_rng_state())


def test_a_pickle_contains_the_weights_if_a_pipeline_saves_them(network):
    expected = results(network, clock())
    pickled = pickle.dumps(network)
    assert (len(pickled) > 20_000) == isinstance(network, SavedEncoder)
    copy = pickle.loads(pickled)
    assert copy.fingerprint == network.fingerprint
    assert results(copy, clock()) == expected


def test_encoders_reject_unknown_regions(name):
    with pytest.raises(ValueError):
        build(name, regions="whole")

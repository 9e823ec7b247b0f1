"""Weights of torchvision's classifiers: random, downloaded, or from a file."""

from __future__ import annotations

import os
import pickle
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model_weights

from spacy_mner.images.encoders.torchvision_encoder import Torchvision

SMALL, OTHER = "shufflenet_v2_x0_5", "resnet18"


def build(**settings: Any) -> Torchvision:
    return Torchvision(**{"model": SMALL} | settings)


def weights_of(**settings: Any) -> dict[str, torch.Tensor]:
    return build(**settings).load().state_dict()


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return weights_of(seed=7)


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_default_is_a_small_model_with_random_weights():
    encoder = Torchvision()
    assert (encoder.model, encoder.weights, encoder.seed) == ("googlenet", None, 0)
    assert encoder.regions == "global"


def test_random_weights_depend_on_the_seed(state):
    assert are_equal(weights_of(seed=7), state)
    assert not are_equal(weights_of(), state)


@pytest.mark.parametrize("name", ["w.pth", "w.PT", "w.safetensors"])
def test_weights_are_loaded_from_a_file(tmp_path, state, name):
    (save_file if name == "w.safetensors" else torch.save)(state, tmp_path / name)
    assert are_equal(weights_of(weights=str(tmp_path / name)), state)


def test_named_weights_are_downloaded_at_first_use_with_a_hash_check(monkeypatch, state):
    table = get_model_weights(SMALL)
    requested = []

    def fetch(entry, **options):
        requested.append((entry, options["check_hash"]))
        return state

    monkeypatch.setattr(table, "get_state_dict", fetch)
    network = build(weights="DEFAULT")
    assert network.fingerprint and not requested
    assert are_equal(network.load().state_dict(), state)
    assert requested == [(table.DEFAULT, True)]


def test_nothing_is_downloaded_for_random_weights_or_a_file(tmp_path, monkeypatch, state):
    def fail(*arguments, **options):
        raise AssertionError("unexpected download")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    torch.save(state, tmp_path / "w.pth")
    for weights in (None, str(tmp_path / "w.pth")):
        assert weights_of(weights=weights).keys() == state.keys()


def test_a_failed_download_names_the_url_and_the_cause(monkeypatch):
    def fail(entry, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(get_model_weights(SMALL), "get_state_dict", fail)
    with pytest.raises(OSError, match=r"https://.*\.pth .*no route"):
        build(weights="DEFAULT").load()


@pytest.mark.parametrize(
    ("settings", "error"),
    [({"model": "gogglenet"}, "googlenet"), ({"weights": "IMAGENET"}, "IMAGENET1K_V1")],
)
def test_an_unknown_name_is_reported_with_the_available_ones(settings, error):
    with pytest.raises(ValueError, match=error):
        _ = build(**settings).fingerprint


def test_a_file_that_is_missing_or_does_not_fit_is_rejected_with_its_name(tmp_path, state):
    path = tmp_path / "w.pth"
    with pytest.raises(OSError, match=r"w\.pth"):
        build(weights=str(path)).load()
    torch.save({"epoch": 3, "model": state}, path)
    with pytest.raises(ValueError, match=r"w\.pth"):
        build(weights=str(path)).load()
    torch.save(state, path)
    with pytest.raises(ValueError, match=rf"w\.pth do not fit {OTHER}"):
        build(model=OTHER, weights=str(path)).load()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", ["code", "list", "noise", "nothing"])
def test_a_file_without_a_state_dict_is_rejected_and_not_executed(tmp_path, suffix, content):
    path = tmp_path / f"w.{suffix}"
    if content == "code":
        path.write_bytes(pickle.dumps(Exploit(str(tmp_path / "executed")), protocol=2))
    elif content == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(b"noise" * 40 if content == "noise" else b"")
    with pytest.raises(ValueError, match=rf"w\.{suffix} is not a state dict"):
        build(weights=str(path)).load()
    assert not (tmp_path / "executed").exists()


class Exploit:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_the_fingerprint_depends_on_model_weights_and_settings(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    torch.save({name: tensor + 1 for name, tensor in state.items()}, tmp_path / "b.pth")
    choices: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"model": OTHER},
        {"weights": "DEFAULT"},
        {"weights": str(tmp_path / "a.pth")},
        {"weights": str(tmp_path / "b.pth")},
        {"regions": "grid"},
    ]
    networks = [build(**settings) for settings in choices]
    assert len({network.fingerprint for network in networks}) == len(choices)
    assert all(network._network is None for network in networks)
    os.rename(tmp_path / "a.pth", tmp_path / "c.pth")
    renamed = build(weights=str(tmp_path / "c.pth"))
    assert renamed.fingerprint == networks[4].fingerprint

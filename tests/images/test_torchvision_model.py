"""Weights of torchvision's classifiers and detectors: random, downloaded, or from a file."""

from __future__ import annotations

import os
import pickle
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model_weights

from spacy_mner.images.detectors.torchvision_detector import TorchvisionDetector
from spacy_mner.images.encoders.torchvision_encoder import Torchvision
from spacy_mner.images.torchvision_model import TorchvisionModel

SMALL = {"classifier": "shufflenet_v2_x0_5", "detector": "ssdlite320_mobilenet_v3_large"}
OTHER = {"classifier": "resnet18", "detector": "fasterrcnn_mobilenet_v3_large_320_fpn"}
CLASSES = {"classifier": Torchvision, "detector": TorchvisionDetector}


def build(kind: str, **settings: Any) -> Torchvision | TorchvisionDetector:
    return CLASSES[kind](**{"model": SMALL[kind]} | settings)


def weights_of(kind: str, **settings: Any) -> dict[str, torch.Tensor]:
    return build(kind, **settings).load().state_dict()


@pytest.fixture(scope="module", params=CLASSES)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def state(kind) -> dict[str, torch.Tensor]:
    return weights_of(kind, seed=7)


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_defaults_are_small_models_with_random_weights():
    encoder, detector = Torchvision(), TorchvisionDetector()
    assert (encoder.model, encoder.weights, encoder.seed) == ("googlenet", None, 0)
    assert detector.model == TorchvisionModel("detector", OTHER["detector"], None, 0)
    assert (encoder.regions, detector.threshold) == ("global", 0.5)


def test_random_weights_depend_on_the_seed(kind, state):
    assert are_equal(weights_of(kind, seed=7), state)
    assert not are_equal(weights_of(kind), state)


@pytest.mark.parametrize("name", ["w.pth", "w.PT", "w.safetensors"])
def test_weights_are_loaded_from_a_file(tmp_path, kind, state, name):
    (save_file if name == "w.safetensors" else torch.save)(state, tmp_path / name)
    assert are_equal(weights_of(kind, weights=str(tmp_path / name)), state)


def test_named_weights_are_downloaded_at_first_use_with_a_hash_check(monkeypatch, kind, state):
    table = get_model_weights(SMALL[kind])
    requested = []

    def fetch(entry, **options):
        requested.append((entry, options["check_hash"]))
        return state

    monkeypatch.setattr(table, "get_state_dict", fetch)
    network = build(kind, weights="DEFAULT")
    assert network.fingerprint and not requested
    assert are_equal(network.load().state_dict(), state)
    assert requested == [(table.DEFAULT, True)]


def test_nothing_is_downloaded_for_random_weights_or_a_file(tmp_path, monkeypatch, kind, state):
    def fail(*arguments, **options):
        raise AssertionError("unexpected download")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    torch.save(state, tmp_path / "w.pth")
    for weights in (None, str(tmp_path / "w.pth")):
        assert weights_of(kind, weights=weights).keys() == state.keys()


def test_a_failed_download_names_the_url_and_the_cause(monkeypatch, kind):
    def fail(entry, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(get_model_weights(SMALL[kind]), "get_state_dict", fail)
    with pytest.raises(OSError, match=r"https://.*\.pth .*no route"):
        build(kind, weights="DEFAULT").load()


@pytest.mark.parametrize(
    ("kind", "settings", "error"),
    [
        ("classifier", {"model": "gogglenet"}, "googlenet"),
        ("classifier", {"weights": "IMAGENET"}, "IMAGENET1K_V1"),
        ("detector", {"model": "fasterrcnn_mobilenet_v3_320"}, "fasterrcnn_mobilenet_v3_large"),
        ("detector", {"model": "resnet18"}, "resnet18"),
        ("detector", {"weights": "COCO"}, "COCO_V1"),
    ],
)
def test_an_unknown_name_is_reported_with_the_available_ones(kind, settings, error):
    with pytest.raises(ValueError, match=error):
        _ = build(kind, **settings).fingerprint


def test_a_file_that_is_missing_or_does_not_fit_is_rejected_with_its_name(tmp_path, kind, state):
    path = tmp_path / "w.pth"
    with pytest.raises(OSError, match=r"w\.pth"):
        build(kind, weights=str(path)).load()
    torch.save({"epoch": 3, "model": state}, path)
    with pytest.raises(ValueError, match=r"w\.pth"):
        build(kind, weights=str(path)).load()
    torch.save(state, path)
    with pytest.raises(ValueError, match=rf"w\.pth do not fit {OTHER[kind]}"):
        build(kind, model=OTHER[kind], weights=str(path)).load()


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
        build("classifier", weights=str(path)).load()
    assert not (tmp_path / "executed").exists()


class Exploit:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_the_fingerprint_depends_on_model_weights_and_settings(tmp_path, kind, state):
    torch.save(state, tmp_path / "a.pth")
    torch.save({name: tensor + 1 for name, tensor in state.items()}, tmp_path / "b.pth")
    choices: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"model": OTHER[kind]},
        {"weights": "DEFAULT"},
        {"weights": str(tmp_path / "a.pth")},
        {"weights": str(tmp_path / "b.pth")},
        {"regions": "grid"} if kind == "classifier" else {"threshold": 0.4},
    ]
    networks = [build(kind, **settings) for settings in choices]
    assert len({network.fingerprint for network in networks}) == len(choices)
    assert all(network._network is None for network in networks)
    os.rename(tmp_path / "a.pth", tmp_path / "c.pth")
    renamed = build(kind, weights=str(tmp_path / "c.pth"))
    assert renamed.fingerprint == networks[4].fingerprint

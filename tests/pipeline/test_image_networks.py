"""Image networks in the component: their device, and the cache on disk."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import spacy
import torch

from spacy_mner.errors import ImageWarning
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.models.shim import TorchShim

from ..conftest import examples_of, gold_docs, make_doc

NAME = "multimodal_ner"


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_image_networks_compute_on_the_device_of_the_network_in_any_thread(trained, monkeypatch):
    """Thinc's device is a ContextVar, which is the CPU again in a new thread."""
    devices = []

    def record(self, images, device=None, is_train=False):
        devices.append(device)
        raise KeyboardInterrupt  # the rest of the pass needs a real device

    monkeypatch.setattr(TorchShim, "device", torch.device("meta"))
    monkeypatch.setattr(FeatureCache, "results", record)
    doc = make_doc(trained, ["my", "jaguar"], "car.png")
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        pool.submit(trained, doc).result()
    assert devices == [torch.device("meta")]


def test_the_cache_on_disk_is_used_in_training_only(untrained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    component = untrained.get_pipe(NAME)
    component.initialize(lambda: examples_of(gold_docs(untrained)), image_cache="cache")
    component.update(examples_of(gold_docs(untrained)))
    cached = files_in(tmp_path / "cache")
    assert cached

    untrained.to_disk(tmp_path / "model")
    copies = [
        spacy.load(tmp_path / "model"),
        spacy.blank("en").from_config(untrained.config).from_bytes(untrained.to_bytes()),
        pickle.loads(pickle.dumps(untrained)),
    ]
    for path in cached:
        path.unlink()
    before = files_in(tmp_path)
    for nlp in copies:
        assert nlp(make_doc(nlp, ["my", "jaguar"], "car.png"))._.image_status == "used"
    assert files_in(tmp_path) == before
    assert b"cache" not in component.to_bytes(exclude=["vocab"])


def test_initialize_without_a_cache_folder_writes_no_files(untrained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    component = untrained.get_pipe(NAME)
    component.initialize(lambda: examples_of(gold_docs(untrained)))
    component.update(examples_of(gold_docs(untrained)))
    assert files_in(tmp_path) == []


def test_a_cache_folder_that_cannot_be_written_to_is_one_warning(untrained, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    component = untrained.get_pipe(NAME)
    examples = examples_of(gold_docs(untrained))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        component.initialize(lambda: examples, image_cache=str(tmp_path / "file"))
        component.update(examples)
        component.update(examples)
    assert [one.category for one in caught if issubclass(one.category, ImageWarning)] == [
        ImageWarning
    ]

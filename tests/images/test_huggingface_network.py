"""What the captioner and the object detector of Hugging Face have in common."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from spacy_mner.errors import UsageError
from spacy_mner.images import huggingface_network
from spacy_mner.images.disk_cache import DiskCache
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.images.readers.captioner import Captioner
from spacy_mner.images.reference import open_image

from ..image_models import write_captioner
from .samples import clock, noise

pytest.importorskip("transformers")


def write_other_weights(folder: Path) -> Path:
    """The captioner of `write_captioner`, with one weight changed."""
    captioner = Captioner(name=str(write_captioner(folder)))
    network, _ = captioner.network_on(None)
    with torch.no_grad():
        next(network.parameters()).add_(1)
    captioner.save_files(folder)
    return folder


def test_weights_are_hashed_once_for_all_images_and_again_where_others_are_loaded(
    tmp_path, monkeypatch
):
    hashes: list[str] = []

    def hash_and_count(tensors):
        hashes.append(hash_tensors(tensors))
        return hashes[-1]

    hash_tensors = huggingface_network.hash_tensors
    monkeypatch.setattr(huggingface_network, "hash_tensors", hash_and_count)
    captioner = Captioner(name=str(write_captioner(tmp_path / "one")), max_length=3)
    cache = FeatureCache(captioner, memory_mb=1)
    cache.disk = DiskCache(tmp_path / "cache")
    cache.results([open_image(image, None) for image in (clock(), noise())])
    cache.results([open_image(noise(20, 30), None)])
    before = captioner.fingerprint
    assert len(hashes) == 1
    captioner.load_files(write_other_weights(tmp_path / "other"))
    assert captioner.fingerprint == captioner.fingerprint != before
    assert len(hashes) == 2


def test_a_package_that_a_model_needs_is_named_with_the_remedy(tmp_path, monkeypatch):
    def load(*args, **kwargs):
        raise ImportError("\nResNet requires the timm library. Install it:\n`pip install timm`.\n")

    monkeypatch.setattr("transformers.AutoModelForImageTextToText.from_pretrained", load)
    with pytest.raises(UsageError, match=r"captioner.*`pip install timm`"):
        Captioner(name=str(write_captioner(tmp_path))).compute([noise()])


def test_a_missing_package_is_reported_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    captioner = Captioner(name="any")
    for use in (captioner.check_installed, lambda: captioner.compute([noise()])):
        with pytest.raises(UsageError, match=r"spacy-mner\[transformers\]"):
            use()

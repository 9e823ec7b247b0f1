"""What of a saved config may be changed, and what spaCy does with a saved pipeline."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import spacy

from spacy_mner.errors import LoadingError

from ...conftest import examples_of, gold_docs
from .pipelines import CONFIG, NAME, answers


@pytest.mark.parametrize(
    "setting, value, place",
    [
        ("embed.word.width", 20, "model.embed.word.width: trained with 16, the config has 20"),
        ("embed.char.max_characters", 6, "model.embed.char.max_characters"),
        ("embed.image", None, "model.embed.image: .* the config has nothing"),
        ("embed.image.bottleneck", 4, "model.embed.image.bottleneck"),
        ("tok2vec", None, "model.tok2vec: .* the config has nothing"),
        ("tok2vec.depth", 2, "tok2vec does not match the config"),
        ("fuse.combine", "concatenate", "model.fuse.combine"),
        ("fuse", {"@architectures": "spacy_mner.Concatenate.v1"}, "model.fuse: .*Concatenate"),
        ("encode.hidden_width", 14, "model.encode.hidden_width"),
        ("embed.image.encoder.regions", "grid", "modality 'image'"),
    ],
)
def test_a_config_that_was_edited_after_training_is_refused_with_its_place(
    saved, setting, value, place
):
    with pytest.raises(LoadingError, match=place):
        spacy.load(saved, config={f"{CONFIG}.{setting}": value})


def test_settings_that_affect_no_prediction_may_be_changed(saved, images, tmp_path):
    moved = shutil.copytree(saved, tmp_path / "moved")
    shutil.copytree(images, tmp_path / "elsewhere")
    settings = {
        f"{CONFIG}.embed.word.dropout": 0.1,
        f"{CONFIG}.embed.image.memory_mb": 1,
        f"{CONFIG}.fuse.dropout": 0.0,
        "components.multimodal_ner.images_root": str(tmp_path / "elsewhere"),
        "nlp.batch_size": 3,
    }
    assert answers(spacy.load(moved, config=settings)) == answers(spacy.load(saved))


def test_mixed_precision_affects_the_last_digits_only(saved):
    rounded = answers(spacy.load(saved, config={f"{CONFIG}.mixed_precision": True}))
    for (entities, status, scores), (others, *_, exact) in zip(
        rounded, answers(spacy.load(saved)), strict=True
    ):
        assert (entities, status) == (others, "used" if status == "used" else status)
        assert scores == pytest.approx(exact, abs=0.02)


def test_averaged_weights_in_use_are_saved(saved, tmp_path):
    nlp = spacy.load(saved)
    shim = nlp.get_pipe(NAME).model.shims[0]
    name, parameter = next(iter(shim.network.named_parameters()))
    with nlp.use_params({(shim.id, name): np.full(tuple(parameter.shape), 7.0, np.float32)}):
        nlp.to_disk(tmp_path / "averaged")
    network = spacy.load(tmp_path / "averaged").get_pipe(NAME).model.shims[0].network
    assert (network.get_parameter(name) == 7.0).all()
    assert not (parameter == 7.0).all()


def test_a_pipeline_whose_listener_was_replaced_is_saved_and_loaded(model, images, tmp_path):
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 8, "upstream": "*"}
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": model["tok2vec"]})
    config = {"model": {**model, "tok2vec": listener}, "images_root": str(images)}
    nlp.add_pipe(NAME, config=config)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    before = answers(nlp)
    nlp.to_disk(tmp_path / "listening")
    assert answers(spacy.load(tmp_path / "listening")) == before
    again = spacy.util.load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert answers(again) == before
    nlp.replace_listeners("tok2vec", NAME, ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")
    assert answers(nlp) == before
    nlp.to_disk(tmp_path / "alone")
    assert answers(spacy.load(tmp_path / "alone")) == before


def test_an_uninitialized_pipeline_is_saved_and_loaded(untrained, tmp_path):
    untrained.get_pipe(NAME).add_label("LOC")
    untrained.to_disk(tmp_path / "model")
    again = spacy.load(tmp_path / "model").get_pipe(NAME)
    assert again.labels == ("LOC",)
    assert again.label_data is None

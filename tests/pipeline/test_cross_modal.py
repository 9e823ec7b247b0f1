"""Whole pipelines with augmentation, objects and a grid: trained, saved, loaded, in processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from spacy_mner.images.image_objects import read_objects
from spacy_mner.pipeline.saving import LoadingError
from spacy_mner.training.reader import build_multimodal_corpus

from ..conftest import (
    ANIMALS_AND_CARS,
    CROSS_MODAL,
    examples_of,
    gold_docs,
    make_doc,
    make_pipeline,
    train,
)
from .saving.pipelines import set_vectors, table

NAME = "multimodal_ner"
AUGMENTATION = {"@architectures": "spacy_mner.SemanticAugmentation.v1"}


@pytest.fixture(scope="module")
def model(small_model: dict[str, Any]) -> dict[str, Any]:
    embed = small_model["embed"]
    encoder = {"@image_encoders": "spacy_mner.EfficientNetLite.v1", "regions": "grid"}
    return {
        **small_model,
        "embed": {
            **embed,
            "augmentation": {**AUGMENTATION, "width": 16, "n": 2},
            "objects": {"@architectures": "spacy_mner.ObjectEmbedding.v2", "width": 16},
            "image": {**embed["image"], "encoder": encoder},
        },
        **CROSS_MODAL,
        "fuse": {**CROSS_MODAL["fuse"], "augmentation_gate": True},
        "decode": {"@architectures": "spacy_mner.CRF.v1", "segmentation": "bio"},
    }


def pipeline(model: dict[str, Any], images: Path) -> Language:
    nlp = make_pipeline(model, images)
    set_vectors(nlp.vocab, table())
    return nlp


def posts_with_objects(nlp: Language) -> list[Doc]:
    """Posts in which objects alone tell a car from an animal, and some without any."""
    docs = []
    for word in ANIMALS_AND_CARS:
        for label, tag in (("car", "B-ORG"), ("cat", "O")):
            doc = make_doc(nlp, ["my", word, "!"], None, ["O", tag, "O"])
            doc._.image_objects = ["tree", {"label": label, "score": 0.9, "box": [0, 0, 1, 1]}]
            docs.append(doc)
        docs.append(make_doc(nlp, ["hi", "Bob", word], None, ["O", "B-PER", "O"]))
    return docs


@pytest.fixture(scope="module")
def trained_folder(model, images, tmp_path_factory) -> Path:
    nlp = pipeline({**model, "embed": {**model["embed"], "image": None}}, images)
    train(nlp, examples_of(posts_with_objects(nlp)), steps=50)
    folder = tmp_path_factory.mktemp("trained") / "model"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def trained(trained_folder) -> Language:
    return spacy.load(trained_folder)


def bare(nlp: Language) -> list[Doc]:
    return [example.predicted for example in examples_of(posts_with_objects(nlp))]


def answers(docs: Any) -> list[Any]:
    return [
        ([(e.start, e.end, e.label_, round(e._.score, 5)) for e in doc.ents], doc._.image_status)
        for doc in docs
    ]


def test_objects_disambiguate_the_text_also_after_loading(trained):
    for doc, gold in zip(trained.pipe(bare(trained)), posts_with_objects(trained), strict=True):
        assert [(e.text, e.label_) for e in doc.ents] == [(e.text, e.label_) for e in gold.ents]
        assert doc._.image_status == ("used" if gold._.image_objects else "absent")


def test_objects_that_cannot_be_used_are_masked_and_no_post_fails(trained):
    doc, without = bare(trained)[0], bare(trained)[0]
    doc._.image_objects, without._.image_objects = "car", None
    with pytest.warns(UserWarning, match="invalid image_objects"):
        trained(doc)
    trained(without)
    assert doc._.image_status == "unreadable: invalid image_objects: not a list, but str"
    assert answers([doc])[0][0] == answers([without])[0][0]


def test_image_attention_has_one_column_per_object(trained):
    doc = trained(bare(trained)[0])
    weights = doc._.image_attention["objects"]
    assert weights.shape == (3, 2)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-4)


def test_several_processes_predict_the_same_as_one(trained):
    one = answers(trained.pipe(bare(trained)))
    two = answers(trained.pipe(bare(trained), n_process=2, batch_size=4))
    assert one == two


def test_an_unseen_word_is_augmented_after_loading(trained):
    featurizer = trained.get_pipe(NAME).model.attrs["featurizers"].by_name["augmentation"]
    saved = featurizer.state
    trained(make_doc(trained, ["Dylan", "viper", "Bob"]))
    assert featurizer.state == saved
    trained.vocab.vectors.data = trained.vocab.vectors.data + 1
    with pytest.raises(ValueError, match="was trained with word vectors 8 x 6"):
        trained(make_doc(trained, ["viper"]))


def test_training_from_label_data_is_the_same(model, images):
    """`spacy init labels` finds the neighbors and object labels; training takes them from it."""
    model = {**model, "embed": {**model["embed"], "image": None}}
    first, again = pipeline(model, images), pipeline(model, images)
    first.initialize(lambda: examples_of(posts_with_objects(first)))
    labels = first.get_pipe(NAME).label_data
    again.config["initialize"]["components"][NAME] = {"labels": labels}
    again.initialize(lambda: examples_of(posts_with_objects(again)))
    assert again.get_pipe(NAME).label_data == labels


def test_the_reader_keeps_image_objects(tmp_path):
    nlp = spacy.blank("en")
    docs = posts_with_objects(nlp)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "c.spacy")
    for example, doc in zip(build_multimodal_corpus(tmp_path / "c.spacy")(nlp), docs, strict=True):
        for read in (example.predicted, example.reference):
            given, found = doc._.image_objects, read._.image_objects
            assert (given is None) == (found is None)
            assert given is None or read_objects(found) == read_objects(given)


@pytest.fixture(scope="module")
def detecting(model, images, tmp_path_factory) -> Path:
    """A pipeline with every part, trained a little on images, on disk."""
    nlp = pipeline(model, images)
    tagger = {"@object_detectors": "spacy_mner.EfficientNetLiteTagger.v1", "threshold": 0.0}
    config = {"detector": tagger, "images_root": str(images)}
    nlp.add_pipe("image_objects", first=True, config=config)
    nlp.config["training"]["annotating_components"] = ["image_objects"]
    train(nlp, examples_of(gold_docs(nlp)), steps=6)
    folder = tmp_path_factory.mktemp("detecting") / "model"
    nlp.to_disk(folder)
    return folder


def test_a_detector_and_a_grid_encoder_read_the_same_images(detecting):
    nlp = spacy.load(detecting)
    docs = [example.predicted for example in examples_of(gold_docs(nlp))]
    first = answers(nlp.pipe(docs))
    assert first == answers(spacy.load(detecting).pipe(docs, n_process=2, batch_size=8))
    for doc in docs:
        assert doc._.image_status == ("used" if doc._.image else "absent")
        seen = doc._.image_attention
        expected = (49, 5) if doc._.image else (0, 0)
        assert (seen["image"].shape[1], seen["objects"].shape[1]) == expected


def test_objects_without_an_annotating_component_are_an_error_at_initialization(model, images):
    nlp = pipeline(model, images)
    nlp.add_pipe("image_objects", first=True, config={"images_root": str(images)})
    with pytest.raises(ValueError, match=r"training\.annotating_components"):
        nlp.initialize(lambda: examples_of(gold_docs(nlp)))


@pytest.mark.parametrize(("modality", "n"), [("objects", 5), ("augmentation", 2)])
def test_another_number_of_objects_or_neighbors_than_in_training_is_refused(
    trained_folder, modality, n
):
    setting = f"components.{NAME}.model.embed.{modality}.n"
    difference = rf"model\.embed\.{modality}\.n: trained with {n}, the config has 3"
    with pytest.raises(LoadingError, match=difference):
        spacy.load(trained_folder, config={setting: 3})

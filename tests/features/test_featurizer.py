"""The featurizers of a model together: merged statuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.features import (
    CharacterFeaturizer,
    Featurizer,
    Featurizers,
    ImageFeaturizer,
    ObjectFeaturizer,
)
from spacy_mner.features.batch import PostBatch

NLP = spacy.blank("en")
ALL = {"image": [], "image_features": np.zeros(3), "image_objects": ["car"]}


def post(**attributes: Any) -> Doc:
    doc = NLP.make_doc("a post")
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def statuses(modalities: dict[str, Featurizer], *docs: Doc) -> list[str]:
    featurizers = Featurizers(modalities)
    featurizers.initialize([post(**ALL)])
    return [str(status) for status in featurizers(PostBatch.from_docs(docs)).statuses]


TEXT, IMAGE, OBJECTS = CharacterFeaturizer(), ImageFeaturizer(None), ObjectFeaturizer(None)
MODALITIES: dict[str, dict[str, Featurizer]] = {
    "text": {"char": TEXT},
    "image": {"char": TEXT, "image": IMAGE},
    "objects": {"objects": OBJECTS, "char": TEXT},
    "both": {"image": IMAGE, "objects": OBJECTS},
}


@pytest.mark.parametrize(
    ("modalities", "attributes", "status"),
    [
        ("image", {"image_objects": ["car"]}, "ignored: no modality reads image_objects"),
        ("objects", {"image": "car.png"}, "ignored: no modality reads image"),
        (
            "objects",
            {"image": "car.png", "image_features": np.zeros(3)},
            "ignored: no modality reads image or image_features",
        ),
        ("text", {"image": "car.png"}, "ignored: no modality reads image"),
        ("text", {"image_objects": ["car"]}, "ignored: no modality reads image_objects"),
        ("both", {"image_objects": ["car"]}, "used"),
    ],
)
def test_attributes_that_no_modality_reads_are_ignored(modalities, attributes, status):
    assert statuses(MODALITIES[modalities], post(), post(**attributes)) == ["absent", status]


@pytest.mark.parametrize("modalities", MODALITIES)
@pytest.mark.parametrize("attributes", [{}, {"image_objects": []}], ids=str)
def test_a_post_without_image_attributes_is_absent(modalities, attributes):
    assert statuses(MODALITIES[modalities], post(**attributes)) == ["absent"]


def test_ignored_attributes_of_a_used_image_are_not_reported():
    both = post(image_features=np.zeros(3), image_objects=["car"])
    assert statuses(MODALITIES["image"], both) == ["used"]


@pytest.mark.parametrize("modalities", ["text", "image"])
def test_a_post_with_image_text_only_is_absent(modalities):
    assert statuses(MODALITIES[modalities], post(image_text="a car")) == ["absent"]


def test_a_post_with_dropped_images_is_absent():
    featurizers = Featurizers(MODALITIES["image"])
    featurizers.initialize([post(**ALL)])
    batch = PostBatch.from_docs([post(image_features=np.zeros(3))])
    [status] = featurizers(replace(batch, without_image=[True])).statuses
    assert str(status) == "absent"

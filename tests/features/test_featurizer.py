"""The featurizers of a model together: merged statuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from spacy.tokens import Doc

from spacy_mner.features import (
    CharacterFeaturizer,
    Featurizer,
    Featurizers,
    ImageFeaturizer,
    ObjectFeaturizer,
)
from spacy_mner.features.batch import PostBatch

from .posts import post

VALUES = {"image": "car.png", "image_features": np.zeros(3), "image_objects": ["car"]}
VALUES |= {"image_text": "a car"}


def statuses(modalities: dict[str, Featurizer], *docs: Doc) -> list[str]:
    featurizers = Featurizers(modalities)
    featurizers.initialize([post(**VALUES)])
    return [str(status) for status in featurizers(PostBatch.from_docs(docs)).statuses]


TEXT, IMAGE, OBJECTS = CharacterFeaturizer(), ImageFeaturizer(None), ObjectFeaturizer()
MODALITIES: dict[str, dict[str, Featurizer]] = {
    "text": {"char": TEXT},
    "image": {"char": TEXT, "image": IMAGE},
    "objects": {"objects": OBJECTS, "char": TEXT},
    "both": {"image": IMAGE, "objects": OBJECTS},
}


@pytest.mark.parametrize(
    ("modalities", "attributes", "status"),
    [
        ("image", ["image_objects"], "ignored: no modality reads image_objects"),
        ("objects", ["image"], "ignored: no modality reads image"),
        (
            "objects",
            ["image", "image_features"],
            "ignored: no modality reads image or image_features",
        ),
        ("text", ["image"], "ignored: no modality reads image"),
        ("text", ["image_objects"], "ignored: no modality reads image_objects"),
        ("both", ["image_objects"], "used"),
        ("image", ["image_features", "image_objects"], "used"),
        ("text", ["image_text"], "absent"),
        ("image", ["image_text"], "absent"),
    ],
)
def test_attributes_that_no_modality_reads_are_ignored(modalities, attributes, status):
    given = post(**{name: VALUES[name] for name in attributes})
    assert statuses(MODALITIES[modalities], post(), given) == ["absent", status]


@pytest.mark.parametrize("modalities", MODALITIES)
def test_a_post_without_objects_is_absent(modalities):
    assert statuses(MODALITIES[modalities], post(image_objects=[])) == ["absent"]


def test_a_post_with_dropped_images_is_absent():
    featurizers = Featurizers(MODALITIES["image"])
    featurizers.initialize([post(**VALUES)])
    batch = PostBatch.from_docs([post(image_features=np.zeros(3))])
    [status] = featurizers(replace(batch, without_image=[True])).statuses
    assert str(status) == "absent"

"""What a post brings of its picture that no modality of the pipeline looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.batch import PostBatch
from spacy_mner.featurize import (
    CharacterFeaturizer,
    Featurizer,
    Featurizers,
    ObjectFeaturizer,
    PictureFeaturizer,
)

NLP = spacy.blank("en")
WHOLE = {"image": [], "image_features": np.zeros(3), "image_objects": ["car"]}


def post(**attributes: Any) -> Doc:
    doc = NLP.make_doc("a post")
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def statuses(modalities: dict[str, Featurizer], *docs: Doc) -> list[str]:
    featurizers = Featurizers(modalities)
    featurizers.initialize([post(**WHOLE)])
    batch = PostBatch.from_docs(docs)
    featurizers(batch)
    return batch.image_status


TEXT, PICTURE, OBJECTS = CharacterFeaturizer(), PictureFeaturizer(None), ObjectFeaturizer(None)
KINDS: dict[str, dict[str, Featurizer]] = {
    "text": {"char": TEXT},
    "picture": {"char": TEXT, "image": PICTURE},
    "objects": {"objects": OBJECTS, "char": TEXT},
    "both": {"image": PICTURE, "objects": OBJECTS},
}


@pytest.mark.parametrize(
    ("kind", "brings", "status"),
    [
        ("picture", {"image_objects": ["car"]}, "ignored: no modality reads image_objects"),
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
def test_what_nobody_looks_at_is_ignored_and_not_absent(kind, brings, status):
    assert statuses(KINDS[kind], post(), post(**brings)) == ["absent", status]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("brings", [{}, {"image_objects": []}], ids=str)
def test_a_post_that_brings_nothing_has_no_picture_whoever_looks(kind, brings):
    assert statuses(KINDS[kind], post(**brings)) == ["absent"]


def test_what_is_ignored_beside_a_picture_that_is_used_is_not_worth_a_word():
    both = post(image_features=np.zeros(3), image_objects=["car"])
    assert statuses(KINDS["picture"], both) == ["used"]


@pytest.mark.parametrize("kind", ["text", "picture"])
def test_text_about_a_picture_is_no_picture_whether_it_is_read_or_not(kind):
    assert statuses(KINDS[kind], post(image_text="a car")) == ["absent"]


def test_a_post_without_its_picture_in_a_step_of_training_ignores_none():
    featurizers = Featurizers(KINDS["picture"])
    featurizers.initialize([post(**WHOLE)])
    batch = PostBatch.from_docs([post(image_features=np.zeros(3))])
    batch.without_image = [True]
    featurizers(batch)
    assert batch.image_status == ["absent"]

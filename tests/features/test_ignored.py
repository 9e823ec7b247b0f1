"""What a post brings of its image that no modality of the pipeline looks at."""

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
WHOLE = {"image": [], "image_features": np.zeros(3), "image_objects": ["car"]}


def post(**attributes: Any) -> Doc:
    doc = NLP.make_doc("a post")
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def statuses(modalities: dict[str, Featurizer], *docs: Doc) -> list[str]:
    featurizers = Featurizers(modalities)
    featurizers.initialize([post(**WHOLE)])
    return [str(status) for status in featurizers(PostBatch.from_docs(docs)).statuses]


TEXT, IMAGE, OBJECTS = CharacterFeaturizer(), ImageFeaturizer(None), ObjectFeaturizer(None)
KINDS: dict[str, dict[str, Featurizer]] = {
    "text": {"char": TEXT},
    "image": {"char": TEXT, "image": IMAGE},
    "objects": {"objects": OBJECTS, "char": TEXT},
    "both": {"image": IMAGE, "objects": OBJECTS},
}


@pytest.mark.parametrize(
    ("kind", "brings", "status"),
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
def test_what_nobody_looks_at_is_ignored_and_not_absent(kind, brings, status):
    assert statuses(KINDS[kind], post(), post(**brings)) == ["absent", status]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("brings", [{}, {"image_objects": []}], ids=str)
def test_a_post_that_brings_nothing_has_no_image_whoever_looks(kind, brings):
    assert statuses(KINDS[kind], post(**brings)) == ["absent"]


def test_what_is_ignored_beside_an_image_that_is_used_is_not_worth_a_word():
    both = post(image_features=np.zeros(3), image_objects=["car"])
    assert statuses(KINDS["image"], both) == ["used"]


@pytest.mark.parametrize("kind", ["text", "image"])
def test_text_about_an_image_is_no_image_whether_it_is_read_or_not(kind):
    assert statuses(KINDS[kind], post(image_text="a car")) == ["absent"]


def test_a_post_without_its_image_in_a_step_of_training_ignores_none():
    featurizers = Featurizers(KINDS["image"])
    featurizers.initialize([post(**WHOLE)])
    batch = PostBatch.from_docs([post(image_features=np.zeros(3))])
    [status] = featurizers(replace(batch, without_image=[True])).statuses
    assert str(status) == "absent"

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.features import ObjectFeaturizer
from spacy_mner.features.batch import PostBatch

from .posts import initialize

NLP = spacy.blank("en")


RED = np.zeros((8, 8, 3), dtype=np.uint8) + np.uint8([250, 0, 0])


def post(objects: Any = None, image: Any = None) -> Doc:
    doc = NLP.make_doc("a post")
    doc._.image_objects, doc._.image = objects, image
    return doc


def fitted(*docs: Doc, n: int = 3) -> ObjectFeaturizer:
    return initialize(ObjectFeaturizer(n=n), *docs)


def read(featurizer: ObjectFeaturizer, *docs: Doc) -> tuple[list[list[str | None]], list[str]]:
    """The label of each object that is available, None for an unknown one; and the statuses."""
    output = featurizer(PostBatch.from_docs(docs))
    features = output.arrays
    names = [None, *featurizer.state["labels"]]
    labels = [
        [names[label] for label in row[available].tolist()]
        for row, available in zip(features["label"], features["available"], strict=True)
    ]
    return labels, [str(status) for status in output.statuses]


def with_vector(label: str, *vector: float) -> dict[str, Any]:
    return {"label": label, "vector": list(vector)}


OBJECTS = [{"label": "cat", "score": 0.1}, {"label": "dog", "score": 0.9}, "ox", "cow"]


@pytest.mark.parametrize(
    ("training", "objects", "labels", "status"),
    [
        (OBJECTS, OBJECTS, ["dog", "cat", "ox"], "used"),  # the top-scoring ones
        (OBJECTS, None, [], "absent"),
        (OBJECTS, [], [], "absent"),
        # Objects whose label did not occur in training are skipped, unless they have a vector.
        (["cat"], [{"label": "yeti", "score": 2}, "cat"], ["cat"], "used"),
        (["cat"], ["yeti", "orc", "yeti"], [], "unreadable: .* yeti, orc"),
        ([with_vector("cat", 1, 2)], [with_vector("yeti", 3, 4)], [None], "used"),
        # Invalid objects are masked.
        (["cat"], "cat", [], "unreadable: invalid image_objects: not a list"),
        (["cat"], {1, 2}, [], "unreadable: .*not a list"),
        (["cat"], [{"label": "cat", "box": [3, 1]}], [], "unreadable: .*box"),
        ([with_vector("cat", 1, 2)], [with_vector("cat", 1)], [], ".*object 1 has width 1, exp"),
        ([with_vector("cat", 1, 2)], [with_vector("cat", 1, 2), "cat"], [], ".*object 2 has width"),
    ],
)
def test_objects_are_used_or_masked_with_the_reason(training, objects, labels, status):
    found, [found_status] = read(fitted(post(training)), post(objects))
    assert found == [labels]
    assert re.match(status, found_status)


def test_labels_are_those_of_the_top_scoring_training_objects():
    featurizer = fitted(post(["cat", "dog"]), post("invalid"), post(["ox", "emu"]), n=1)
    assert featurizer.state["labels"] == ["cat", "ox"]
    assert featurizer.dims() == {"n_labels": 2, "dim": 0}


def test_vectors_are_those_of_the_objects():
    featurizer = fitted(post([with_vector("cat", 1, 2), with_vector("dog", 3, 4)]))
    assert featurizer.dims() == {"n_labels": 2, "dim": 2}
    features = featurizer(PostBatch.from_docs([post([with_vector("dog", 5, 6)]), post()]))
    assert features.arrays["vectors"].tolist() == [[[5, 6]], [[0, 0]]]
    assert "vectors" not in fitted(post(["cat"]))(PostBatch.from_docs([post(["cat"])])).arrays


@pytest.mark.parametrize(
    ("docs", "error"),
    [
        ([post(["cat", with_vector("ox", 1)])], r"training posts: none, 1\."),
        ([post([with_vector("ox", 1)]), post(["cat"])], r"training posts: none, 1\."),
        ([post(), post([])], "remove the modality"),
    ],
)
def test_training_posts_without_usable_objects_are_an_error(docs, error):
    with pytest.raises(ValueError, match=error):
        fitted(*docs)


def test_images_are_not_read():
    assert read(fitted(post(["cat"])), post(image=RED)) == ([[]], ["absent"])


def test_image_dropout_masks_objects():
    featurizer = fitted(post(["cat"]))
    batch = PostBatch.from_docs([post(["cat"]), post(["cat"])])
    features = featurizer(replace(batch, without_image=[True, False]))
    assert features.arrays["available"].tolist() == [[False], [True]]
    assert [str(status) for status in features.statuses] == ["absent", "used"]


def test_region_names_are_the_labels_of_the_objects():
    featurizer = fitted(post(["cat"]), n=2)
    assert featurizer.region_names(post(["yeti", "cat"])) == ["cat"]
    assert featurizer.region_names(post("cat")) == []


def test_the_state_is_restored():
    featurizer, again = fitted(post([with_vector("cat", 1, 2)])), ObjectFeaturizer(n=3)
    again.state = json.loads(json.dumps(featurizer.state))
    assert again.dims() == featurizer.dims()
    assert read(again, post([with_vector("cat", 1, 2)]))[0] == [["cat"]]
    assert again.settings == {"n": 3}


def test_another_initialization_resets_the_labels():
    featurizer = initialize(fitted(post([with_vector("cat", 1)])), post(["dog"]))
    assert featurizer.state == {"labels": ["dog"], "dim": 0}


def test_a_batch_without_objects_has_no_regions():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = fitted(post(["cat"]))(PostBatch.from_docs([post()])).arrays
    assert features["label"].shape == features["available"].shape == (1, 0)


@pytest.mark.parametrize("n", [0, 101])
def test_an_invalid_number_of_objects_is_rejected(n):
    with pytest.raises(ValueError):
        ObjectFeaturizer(n=n)

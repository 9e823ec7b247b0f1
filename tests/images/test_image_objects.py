from __future__ import annotations

import json

import numpy as np
import pytest

from spacy_mner.errors import ImageError
from spacy_mner.images.image_objects import ImageObject, read_objects, top_scoring, write_objects

FULL = {"label": "dog", "score": 0.5, "box": [0, 0.25, 0.5, 1], "vector": [1.5, -2]}


def test_objects_are_labels_or_mappings():
    plain, scored, full = read_objects(["cat", {"label": "dog", "score": np.float32(0.5)}, FULL])
    assert plain == ImageObject("cat")
    assert scored == ImageObject("dog", 0.5)
    assert (full.label, full.score, full.box) == ("dog", 0.5, (0, 0.25, 0.5, 1))
    np.testing.assert_array_equal(full.vector, np.array([1.5, -2], dtype=np.float32))
    assert full.vector.dtype == np.float32


def test_none_values_and_other_keys_are_ignored():
    given = {"label": "cat", "score": None, "box": None, "vector": None, "area": object()}
    assert read_objects((given,)) == [ImageObject("cat")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("cat", "not a list, but str"),
        ({"label": "cat"}, "not a list, but dict"),
        (3, "not a list, but int"),
        ([None], "object 1 has no label"),
        (["cat", ""], "object 2 has no label"),
        ([{"name": "cat"}], "no label"),
        ([{"label": 3}], "no label"),
        ([{"label": "cat", "score": "much"}], "score of object 1 .* numbers"),
        ([{"label": "cat", "score": float("nan")}], "score of object 1 .* not within"),
        ([{"label": "cat", "score": 10**400}], "score of object 1 .* numbers"),
        ([{"label": "cat", "score": [0.1]}], "score of object 1 is not one number"),
        ([{"label": "cat", "box": [0, 0, 1]}], r"box of object 1 .* \(0 to 1"),
        ([{"label": "cat", "box": [0, 0, 640, 480]}], r"box of object 1 .* \(0 to 1"),
        ([{"label": "cat", "box": [0.5, 0, 0.4, 1]}], "box of object 1 has x0 > x1"),
        ([{"label": "cat", "vector": 1.0}], r"vector of object 1 .* shape \[\]"),
        ([{"label": "cat", "vector": []}], r"vector of object 1 .* shape \[0\]"),
        ([{"label": "cat", "vector": [[1], [1, 2]]}], "vector of object 1 .* numbers"),
        ([{"label": "cat", "vector": [1e30]}], "not within"),
    ],
)
def test_invalid_objects_are_rejected_with_the_position(value, reason):
    with pytest.raises(ImageError, match=reason):
        read_objects(value)


def test_objects_survive_a_round_trip_through_json():
    objects = read_objects(["cat", FULL, {"label": "ox", "vector": np.float32([0.1])}])
    again = read_objects(json.loads(json.dumps(write_objects(objects))))
    for one, other in zip(objects, again, strict=True):
        assert (one.label, one.score, one.box) == (other.label, other.score, other.box)
        np.testing.assert_array_equal(one.vector, other.vector)


def test_top_scoring_sorts_objects_without_a_score_last_in_order():
    scores = [None, 0.2, 0.9, None, 0.2]
    objects = [ImageObject(str(i), score) for i, score in enumerate(scores)]
    assert [one.label for one in top_scoring(objects, 5)] == ["2", "1", "4", "0", "3"]
    assert [one.label for one in top_scoring(objects, 2)] == ["2", "1"]

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import spacy

import spacy_mner
from spacy_mner.errors import ImageWarning, UsageError

NLP = spacy.blank("en")
ROW = {"text": "my jaguar", "image": "a.jpg"}


class DataFrame:
    """Like that of pandas: iterating yields the names of columns."""

    columns = ("text", "image")

    def __iter__(self):
        return iter(self.columns)

    def to_dict(self, orient):
        return [ROW]


class NAType:
    """Like pandas.NA: comparisons have no truth value."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError


NA = NAType()


def make_docs(rows):
    return list(spacy_mner.make_docs(NLP, rows))


def test_rows_become_docs_with_the_values_of_their_attributes():
    row = {**ROW, "image_text": "a car", "image_objects": ["car"], "likes": 3}
    [doc] = make_docs(iter([row]))
    assert (doc.text, doc._.image, doc._.image_text) == ("my jaguar", "a.jpg", "a car")
    assert doc._.image_objects == ["car"]


def test_missing_values_of_data_frames_are_not_set():
    [doc] = make_docs([{"text": "a", "image": math.nan, "image_text": math.nan}])
    assert doc._.image is None and doc._.image_text is None


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (NA, None),
        (["a.jpg", math.nan, None], ["a.jpg"]),
        ({"bytes": None, "path": "a.jpg"}, "a.jpg"),
        ({"bytes": b"GIF8", "path": "a.gif"}, b"GIF8"),
        ([{"bytes": b"GIF8", "path": None}, NA], [b"GIF8"]),
    ],
)
def test_images_of_data_frames_and_data_sets_are_set(image, expected):
    [doc] = make_docs([{"text": np.str_("a"), "image": image}])
    assert doc._.image == expected and doc.text == "a"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (DataFrame(), r"frame\.to_dict\('records'\)"),
        (pa.table({"text": ["a"]}), r"table\.to_pylist\(\)"),
        ("my jaguar", "not str: pass"),
        (b"my jaguar", "not bytes"),
        (ROW, "not dict: pass"),
        (NLP.make_doc("my jaguar"), "not Doc"),
        (None, "not NoneType"),
        (3, "not int"),
        (["my jaguar"], "Row 1 .* str: pass rows"),
        ([ROW, NLP.make_doc("a")], "Row 2 .* Doc"),
        ([("my jaguar", "a.jpg")], "Row 1 .* tuple"),
        ([None], "Row 1 .* NoneType"),
        ([{"image": "a.jpg"}], "Row 1 .* without"),
        ([ROW, {"text": math.nan}], "Row 2 .* float"),
        ([ROW, {"text": None}], "Row 2 .* NoneType"),
        ([{**ROW, "image_text": ["a car"]}], "Row 1 .*image_text takes a string"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_a_row_is_refused_with_a_remedy(rows, reason):
    with pytest.raises(UsageError, match=reason):
        make_docs(rows)


def test_an_image_under_another_key_is_a_warning_once_with_the_row():
    rows = [ROW, {"text": "a", "image": None, "img": "b.jpg"}, *[{"text": "a", "img": "b.jpg"}] * 2]
    with pytest.warns(ImageWarning, match="Row 3 .*'img' .* rename it 'image'") as caught:
        docs = make_docs(rows)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert [doc._.image for doc in docs] == ["a.jpg", None, None, None]

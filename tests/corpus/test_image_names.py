from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.corpus.image_names import NameIndex

FOLDER = Path("images")
NAMES = [
    "L5.jpg",
    "L5_b.jpg",
    "L5_a.jpg",
    "L5_a.png",
    "L56_a.jpg",
    "L5-a.jpg",
    "l5_a.jpg",
    "L6.jpg",
]


def test_images_of_a_post_begin_with_its_id_and_an_underscore():
    assert NameIndex(NAMES, FOLDER).of_post("L5") == ["L5.jpg", "L5_a.jpg", "L5_a.png", "L5_b.jpg"]


@pytest.mark.parametrize("suffix", [".jfif", ".AVIF", ".Jpe", ".jp2", ".HEIC", ".mpo"])
def test_images_of_every_format_that_is_decoded_are_found_by_id(suffix):
    index = NameIndex([f"a.b{suffix}", "a.b.h5", "c"], FOLDER)
    assert index.find("a.b") == index.find("a.b.jpg") == f"a.b{suffix}"
    assert index.of_post("a.b") == [f"a.b{suffix}"]


def test_an_id_that_ends_like_a_suffix_is_not_shortened_if_there_is_its_image():
    index = NameIndex(["anna.jpg", "anna.fit.jpg"], FOLDER)
    assert index.find("anna.fit") == "anna.fit.jpg" and index.find("anna") == "anna.jpg"


def test_a_post_without_images_has_none():
    assert NameIndex(NAMES, FOLDER).of_post("L7") == []
    assert NameIndex([], FOLDER).of_post("L5") == []


def test_names_are_compared_in_normal_form():
    assert NameIndex(["cafe\u0301_1.jpg"], FOLDER).of_post("café") == ["cafe\u0301_1.jpg"]


parts = st.text(st.sampled_from("Lab_`^.1"), min_size=1, max_size=4)


@given(st.lists(parts, unique=True), parts)
def test_the_lookup_by_id_equals_a_scan_of_all_names(names, post_id):
    expected = [name for name in names if name == post_id or name.startswith(f"{post_id}_")]
    assert NameIndex(names, FOLDER).of_post(post_id) == sorted(expected)

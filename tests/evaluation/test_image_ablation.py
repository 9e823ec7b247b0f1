from __future__ import annotations

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.evaluation.image_ablation import ShuffleError, derangement, set_images

VOCAB = spacy.blank("en").vocab


def make_docs(*images, **others):
    """Return a Doc per image; others: the values of another attribute by its name."""
    docs = []
    for i, image in enumerate(images):
        doc = Doc(VOCAB, words=["a"])
        doc._.image = image
        for name, values in others.items():
            doc._.set(name, values[i])
        docs.append(doc)
    return docs


def images(docs):
    return [doc._.image for doc in docs]


@given(st.lists(st.integers(0, 4), min_size=1), st.integers(0, 3))
def test_derangement_changes_every_key_or_raises(keys, seed):
    possible = 2 * max(map(keys.count, keys)) <= len(keys)
    if not possible:
        with pytest.raises(ShuffleError):
            derangement(keys, seed)
        return
    result = derangement(keys, seed)
    assert sorted(result) == list(range(len(keys)))
    assert all(keys[donor] != key for donor, key in zip(result, keys, strict=True))


def test_on_keeps_images():
    docs = make_docs("1.jpg", None)
    set_images(docs, "on")
    assert images(docs) == ["1.jpg", None]


ATTRIBUTES = {
    "image_features": [np.zeros(2), np.ones(2), np.full(2, 2)],
    "image_objects": [["cat"], ["dog"], ["ox"]],
    "image_text": ["a cat", "a dog", "an ox"],
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_moves_with_its_image_or_is_removed(name):
    own = ["0.jpg", "1.jpg", "2.jpg", None]
    values = [*ATTRIBUTES[name], None]
    docs = make_docs(*own, **{name: values})
    set_images(docs, "shuffled")
    for i, doc in enumerate(docs[:3]):
        assert doc._.image != own[i]
        assert doc._.get(name) is values[own.index(doc._.image)]
    assert (docs[3]._.image, docs[3]._.get(name)) == (None, None)
    set_images(docs, "off")
    assert images(docs) == [doc._.get(name) for doc in docs] == [None] * 4


@pytest.mark.parametrize("name", ["image", "image_text"])
def test_shuffled_permutes_images_or_texts_among_posts_that_have_one(name):
    own = [f"{i}.jpg" if i % 3 else None for i in range(30)]

    def shuffle(seed):
        docs = make_docs(*[None] * 30, **{name: own})
        set_images(docs, "shuffled", seed=seed)
        return [doc._.get(name) for doc in docs]

    found = shuffle(1)
    assert sorted(filter(None, found)) == sorted(filter(None, own))
    for before, after in zip(own, found, strict=True):
        assert (after is None) == (before is None)
        assert after is None or after != before
    assert found == shuffle(1) != shuffle(2)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("image_objects", (["cat"], ({"label": "cat"},)), (["dog"], ["dog"])),
        ("image_objects", ("invalid", "invalid"), ({1: 2}, {1: 2})),
        ("image_features", (np.zeros(2), np.zeros(2)), (np.ones(2), np.ones(2))),
    ],
)
def test_equal_values_count_as_one_image(name, first, second):
    own = [None] * 4 if name == "image_objects" else ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    docs = make_docs(*own, **{name: [*first, *second]})
    set_images(docs, "shuffled")
    for doc in docs[:2]:
        assert any(doc._.get(name) is one for one in second)


def test_equal_files_count_as_one_image(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2"), ("d", b"2")):
        (tmp_path / name).write_bytes(content)
    docs = make_docs("a", "b", "c", "d")
    set_images(docs, "shuffled", images_root=tmp_path)
    assert set(images(docs)[:2]) == {"c", "d"}


def test_images_of_all_types_are_permuted():
    kinds = [b"1", np.zeros((1, 1, 3), dtype="uint8"), ("1.jpg", "2.jpg"), "gone.jpg"]
    docs = make_docs(*kinds)
    set_images(docs, "shuffled")
    for before, doc in zip(kinds, docs, strict=True):
        assert doc._.image is not before


def test_the_order_of_several_images_is_ignored():
    with pytest.raises(ShuffleError, match="2 of the 2"):
        set_images(make_docs(["1.jpg", "2.jpg"], ["2.jpg", "1.jpg"]), "shuffled")


@pytest.mark.parametrize("given_images", [[], [None], ["1.jpg"], ["1.jpg", "1.jpg", "2.jpg"]])
def test_too_few_distinct_images_raise(given_images):
    with pytest.raises(ShuffleError, match="Cannot shuffle"):
        set_images(make_docs(*given_images), "shuffled")


def test_an_unknown_condition_raises():
    with pytest.raises(ValueError, match="on, off, shuffled"):
        set_images([], "blurred")

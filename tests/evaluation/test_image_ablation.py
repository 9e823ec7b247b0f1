from __future__ import annotations

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.evaluation.image_ablation import ShuffleError, derangement, set_images
from spacy_mner.images.image_objects import read_objects

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


def test_shuffled_permutes_image_text_of_posts_without_images():
    own = ["a dog", "a car", "a cat", None]
    docs = make_docs(*[None] * 4, image_text=own)
    set_images(docs, "shuffled")
    found = [doc._.image_text for doc in docs]
    assert sorted(found[:3]) == sorted(own[:3]) and found[3] is None
    assert all(one != other for one, other in zip(found[:3], own[:3], strict=True))


def test_shuffled_permutes_images_among_posts_that_have_one():
    own = [f"{i}.jpg" if i % 3 else None for i in range(30)]
    docs = make_docs(*own)
    set_images(docs, "shuffled", seed=0)
    assert sorted(filter(None, images(docs))) == sorted(filter(None, own))
    for before, after in zip(own, images(docs), strict=True):
        assert (after is None) == (before is None)
        assert after is None or after != before


def test_the_permutation_depends_on_the_seed():
    def shuffle(seed):
        docs = make_docs(*(f"{i}.jpg" for i in range(20)))
        set_images(docs, "shuffled", seed=seed)
        return images(docs)

    assert shuffle(1) == shuffle(1)
    assert shuffle(1) != shuffle(2)


def test_equal_objects_count_as_one_image():
    objects = (["cat"], ["dog"], ({"label": "cat"},), ["dog"])
    docs = make_docs(*[None] * 4, image_objects=objects)
    set_images(docs, "shuffled")
    labels = [read_objects(doc._.image_objects)[0].label for doc in docs]
    assert labels == ["dog", "cat", "dog", "cat"]


def test_invalid_objects_are_permuted_unchanged():
    docs = make_docs(None, None, image_objects=["cat", {1: 2}])
    set_images(docs, "shuffled")
    assert [doc._.image_objects for doc in docs] == [{1: 2}, "cat"]


def test_equal_descriptors_count_as_one_image():
    features = [np.full(2, i % 2) for i in range(4)]
    docs = make_docs("0.jpg", "1.jpg", "2.jpg", "3.jpg", image_features=features)
    set_images(docs, "shuffled")
    assert [doc._.image_features[0] for doc in docs] == [1, 0, 1, 0]


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

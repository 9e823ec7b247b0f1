from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.features import Featurizer, Featurizers, ImageFeaturizer
from spacy_mner.visualize.region_attention import N_TOLD, read_looks

VOCAB = spacy.blank("en").vocab
GRID = np.arange(4) / 10 + 0.1  # 0.1, 0.2, 0.3, 0.4


class Images(ImageFeaturizer):
    """Stands in for one that has seen images: how many regions it took of each."""

    def __init__(self, *sizes):
        super().__init__(None)
        self.sizes = list(sizes)

    def regions_of(self, doc, images_root):
        return self.sizes


class Objects(ImageFeaturizer):
    """Stands in for a featurizer that knows what its regions are called."""

    def __init__(self, *names):
        super().__init__(None)
        self.names = list(names)

    def region_names(self, doc, images_root):
        return self.names


def a_doc(weights, tags=("B-PER", "I-PER", "O", "B-LOC"), **attributes):
    doc = Doc(VOCAB, words=["Bob", "Dylan", "in", "Rome"], ents=list(tags))
    doc._.image_attention = {name: np.float32(rows) for name, rows in weights.items()}
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def looks(weights, featurizer, places=(), **options):
    """How the entities of a post look at the one modality it has."""
    doc = a_doc({"image": weights}, **options)
    return [one for [one] in read_looks(doc, Featurizers({"image": featurizer}), places)]


def alike(*rows):
    return np.stack([np.concatenate(rows)] * 4)


def test_an_entity_looks_as_its_tokens_do_in_the_mean():
    weights = np.zeros((4, 4))
    weights[0], weights[1], weights[2], weights[3] = [1, 0, 0, 0], [0, 1, 0, 0], 9, GRID
    bob, rome = looks(weights, Images(4), ["a"])
    assert bob.cells == {"a": [[0.5, 0.5], [0, 0]]}
    assert bob.told[:2] == [("row 1, column 1", 0.5), ("row 1, column 2", 0.5)]
    np.testing.assert_allclose(rome.cells["a"], [[0.1, 0.2], [0.3, 0.4]], rtol=1e-6)
    assert rome.told[0] == ("row 2, column 2", pytest.approx(0.4))
    assert (rome.modality, rome.even, rome.largest) == ("image", 0.25, pytest.approx(0.4))


def test_only_the_regions_with_most_attention_are_named():
    weights = alike(np.linspace(0, 1, 49))
    look = looks(weights, Images(49), ["a"])[0]
    assert [name for name, _ in look.told] == [f"row 7, column {n}" for n in (7, 6, 5, 4)]
    assert len(look.told) == N_TOLD


def test_regions_after_an_image_that_failed_are_those_of_the_next():
    look = looks(alike(GRID, GRID * 2), Images(0, 4, 4), [None, "b", "c"])[0]
    np.testing.assert_allclose(look.cells["b"], [[0.1, 0.2], [0.3, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(look.cells["c"], [[0.2, 0.4], [0.6, 0.8]], rtol=1e-6)
    assert look.told[0][0] == "image 3, row 2, column 2"


def test_an_image_that_is_not_shown_is_told_of_in_words():
    look = looks(alike(GRID, GRID * 2), Images(4, 4), ["a", None])[0]
    assert list(look.cells) == ["a"]
    assert look.told[0][0] == "image 2, row 2, column 2"


def test_an_image_that_a_post_names_twice_gets_what_both_get():
    look = looks(alike(GRID, GRID * 2), Images(4, 4), ["a", "a"])[0]
    np.testing.assert_allclose(look.cells["a"], [[0.3, 0.6], [0.9, 1.2]], rtol=1e-6)


def test_images_of_one_region_each_are_compared_as_a_whole():
    look = looks(alike([0.25, 0.75]), Images(1, 1), ["a", "b"])[0]
    assert look.cells == {"a": [[0.25]], "b": [[0.75]]}
    assert look.told == [("image 2", 0.75), ("image 1", 0.25)]


def test_regions_that_are_no_square_are_not_drawn():
    look = looks(alike([0.2, 0.5, 0.3]), Images(3), ["a"])[0]
    assert look.cells == {}
    assert [name for name, _ in look.told] == ["region 2", "region 3", "region 1"]


@pytest.mark.parametrize("sizes, places", [((9,), ["a"]), ((4,), []), ((), ["a"])])
def test_nothing_is_drawn_over_images_that_are_no_longer_those_the_model_saw(sizes, places):
    look = looks(alike(GRID), Images(*sizes), places)[0]
    assert look.cells == {} and look.told[0][0] == "region 4"


def test_the_regions_of_a_descriptor_are_no_cells_of_the_image_beside_it():
    descriptor = np.ones((4, 3))
    look = looks(alike(GRID), Images(4), ["a"], image_features=descriptor)[0]
    assert look.cells == {} and look.told[0][0] == "region 4"


def test_objects_go_by_their_names():
    look = looks(alike([0.2, 0.5, 0.3]), Objects("dog", "ball", "dog"), ["a"])[0]
    assert look.cells == {}
    assert [name for name, _ in look.told] == ["ball", "dog", "dog"]


def test_every_modality_with_regions_is_told_of():
    doc = a_doc({"image": alike(GRID), "objects": alike([0.1, 0.9])})
    by_name = {"image": Images(4), "objects": Objects("dog", "ball")}
    for entity in read_looks(doc, Featurizers(by_name), ["a"]):
        assert [look.modality for look in entity] == ["image", "objects"]


def test_a_single_object_is_named_and_gets_everything():
    assert looks(alike([1.0]), Objects("dog"))[0].told == [("dog", 1.0)]


def test_a_single_region_or_none_tells_nothing():
    for n_regions in (0, 1):
        doc = a_doc({"image": np.ones((4, n_regions))})
        assert read_looks(doc, Featurizers({"image": Images(n_regions)}), ["a"]) == [[], []]


def test_attention_of_tokens_that_were_merged_later_tells_nothing():
    doc = a_doc({"image": alike(GRID)})
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    assert read_looks(doc, Featurizers({"image": Images(4)}), ["a"]) == [[], []]


def test_without_attention_to_regions_there_is_nothing_to_tell():
    doc = Doc(VOCAB, words=["Rome"], ents=["B-LOC"])
    assert read_looks(doc, Featurizers({}), []) == [[]]


def test_regions_have_no_names_unless_their_featurizer_gives_some():
    assert Featurizer.region_names(Images(4), a_doc({}), None) == []

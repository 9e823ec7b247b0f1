from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.features import Featurizers, ImageFeaturizer
from spacy_mner.visualize.region_attention import N_TOP_REGIONS, region_attention

VOCAB = spacy.blank("en").vocab
GRID = np.arange(4) / 10 + 0.1  # 0.1, 0.2, 0.3, 0.4


class StandIn(ImageFeaturizer):
    """Images with a given number of regions each, or regions with a given name each."""

    def __init__(self, *sizes_or_names):
        super().__init__(None)
        self.given = list(sizes_or_names)

    def regions_of(self, doc):
        return [one for one in self.given if isinstance(one, int)]

    def region_names(self, doc):
        return [one for one in self.given if isinstance(one, str)]


def make_doc(weights, **attributes):
    """A Doc with the entities Bob Dylan and Rome. weights: modality → [n_tokens, n_regions]."""
    doc = Doc(VOCAB, words=["Bob", "Dylan", "in", "Rome"], ents=["B-PER", "I-PER", "O", "B-LOC"])
    doc._.image_attention = {name: np.float32(rows) for name, rows in weights.items()}
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def attention_of(weights, featurizer, image_keys=(), **attributes):
    """The attention of each entity over the regions of the only modality."""
    doc = make_doc({"image": weights}, **attributes)
    found = region_attention(doc, Featurizers({"image": featurizer}), image_keys)
    return [one for [one] in found]


def same_for_all_tokens(*rows):
    return np.stack([np.concatenate(rows)] * 4)


def test_the_attention_of_an_entity_is_the_mean_over_its_tokens():
    weights = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [9, 9, 9, 9], GRID])
    bob, rome = attention_of(weights, StandIn(4), ["a"])
    assert bob.cells == {"a": [[0.5, 0.5], [0, 0]]}
    assert bob.top_regions[:2] == [("row 1, column 1", 0.5), ("row 1, column 2", 0.5)]
    np.testing.assert_allclose(rome.cells["a"], [[0.1, 0.2], [0.3, 0.4]], rtol=1e-6)
    assert rome.top_regions[0] == ("row 2, column 2", pytest.approx(0.4))
    assert (rome.modality, rome.uniform, rome.largest) == ("image", 0.25, pytest.approx(0.4))


def test_only_the_regions_with_the_largest_shares_are_listed():
    attention = attention_of(same_for_all_tokens(np.linspace(0, 1, 49)), StandIn(49), ["a"])
    names = [name for name, _ in attention[0].top_regions]
    assert names == [f"row 7, column {n}" for n in (7, 6, 5, 4)][:N_TOP_REGIONS]


@pytest.mark.parametrize(
    ("sizes", "keys", "cells", "largest"),
    [
        # The first image is masked.
        ((0, 4, 4), [None, "b", "c"], {"b": GRID, "c": GRID * 2}, "image 3, row 2, column 2"),
        # The second image cannot be shown.
        ((4, 4), ["a", None], {"a": GRID}, "image 2, row 2, column 2"),
        # Both references are to the same image.
        ((4, 4), ["a", "a"], {"a": GRID * 3}, "image 2, row 2, column 2"),
    ],
)
def test_cells_belong_to_the_image_of_their_region(sizes, keys, cells, largest):
    weights = same_for_all_tokens(GRID, GRID * 2)
    attention = attention_of(weights, StandIn(*sizes), keys)[0]
    assert list(attention.cells) == list(cells)
    for key, expected in cells.items():
        np.testing.assert_allclose(np.ravel(attention.cells[key]), expected, rtol=1e-6)
    assert attention.top_regions[0][0] == largest


def test_images_with_one_region_each_are_named_as_a_whole():
    attention = attention_of(same_for_all_tokens([0.25, 0.75]), StandIn(1, 1), ["a", "b"])[0]
    assert attention.cells == {"a": [[0.25]], "b": [[0.75]]}
    assert attention.top_regions == [("image 2", 0.75), ("image 1", 0.25)]


BY_NUMBER = ["region 2", "region 3", "region 1"]


@pytest.mark.parametrize(
    ("featurizer", "keys", "attributes", "names"),
    [
        (StandIn(3), ["a"], {}, BY_NUMBER),
        (StandIn("dog", "ball", "dog"), ["a"], {}, ["ball", "dog", "dog"]),
        # The files have changed since the prediction.
        (StandIn(9), ["a"], {}, BY_NUMBER),
        (StandIn(3), [], {}, BY_NUMBER),
        # The model read the descriptor, not the image.
        (StandIn(3), ["a"], {"image_features": np.ones((3, 3))}, BY_NUMBER),
    ],
)
def test_regions_that_are_no_grid_are_listed_and_not_drawn(featurizer, keys, attributes, names):
    weights = same_for_all_tokens([0.2, 0.5, 0.3])
    attention = attention_of(weights, featurizer, keys, **attributes)[0]
    assert attention.cells == {}
    assert [name for name, _ in attention.top_regions] == names


def test_every_modality_with_regions_is_listed():
    doc = make_doc({"image": same_for_all_tokens(GRID), "objects": same_for_all_tokens([0.1, 0.9])})
    featurizers = Featurizers({"image": StandIn(4), "objects": StandIn("dog", "ball")})
    for of_entity in region_attention(doc, featurizers, ["a"]):
        assert [attention.modality for attention in of_entity] == ["image", "objects"]


def test_a_single_region_is_listed_only_if_it_has_a_name():
    [dog, _] = attention_of(same_for_all_tokens([1.0]), StandIn("dog"))
    assert dog.top_regions == [("dog", 1.0)]
    for n_regions in (0, 1):
        doc = make_doc({"image": np.ones((4, n_regions))})
        featurizers = Featurizers({"image": StandIn(n_regions)})
        assert region_attention(doc, featurizers, ["a"]) == [[], []]


def test_attention_of_tokens_that_were_merged_later_is_left_out():
    doc = make_doc({"image": same_for_all_tokens(GRID)})
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    for one in (doc, make_doc({})):
        assert region_attention(one, Featurizers({"image": StandIn(4)}), ["a"]) == [[], []]

from __future__ import annotations

import torch

from spacy_mner.layers.decode import (
    begin_tag,
    bio_tags,
    entities_of,
    inside_tag,
    n_tags,
    start_allowed,
    transition_allowed,
)
from spacy_mner.layers.decode.bio import is_begin, label_of, without_labels

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def test_the_tags_are_o_and_then_begin_and_inside_of_each_label():
    assert bio_tags(["PER", "LOC"]) == TAGS
    assert n_tags(2) == len(TAGS)
    for label, name in enumerate(["PER", "LOC"]):
        begin, inside = begin_tag(label), inside_tag(label)
        assert (TAGS[begin], TAGS[inside]) == (f"B-{name}", f"I-{name}")
        assert label_of(begin) == label_of(inside) == label
    assert is_begin(torch.arange(5)).tolist() == [tag[0] == "B" for tag in TAGS]


def test_entities_begin_at_b_and_end_before_any_tag_but_their_i():
    names = ["B-LOC", "I-LOC", "B-LOC", "O", "B-PER", "B-LOC", "I-LOC", "I-LOC"]
    tags = [TAGS.index(name) for name in names]
    assert entities_of(tags) == [(0, 2, 1), (2, 3, 1), (4, 5, 0), (5, 8, 1)]
    assert entities_of([0, 0]) == entities_of([]) == []


def test_without_labels_a_prefix_is_allowed_if_one_of_its_tags_is():
    allowed = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]).bool()
    assert without_labels(allowed).int().tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 0]]


def test_a_post_begins_with_any_tag_but_inside():
    allowed = {tag for tag, may in zip(TAGS, start_allowed(2).tolist(), strict=True) if may}
    assert allowed == {"O", "B-PER", "B-LOC"}


def test_inside_follows_only_begin_and_inside_of_its_own_label():
    tags = bio_tags(["PER", "LOC", "ORG"])
    allowed = transition_allowed(3)
    for i, before in enumerate(tags):
        for j, after in enumerate(tags):
            continues = before[0] in "BI" and before[1:] == after[1:]
            assert bool(allowed[i, j]) == (after[0] != "I" or continues), (before, after)


def test_the_only_tag_without_labels_is_o():
    assert bio_tags([]) == ["O"]
    assert start_allowed(0).tolist() == [True]
    assert transition_allowed(0).tolist() == [[True]]

from __future__ import annotations

import torch

from spacy_mner.layers.decode.bio import (
    begin_tag,
    bio_tags,
    entities_of,
    inside_tag,
    n_tags,
    start_allowed,
    transition_allowed,
    without_labels,
)

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def test_the_tags_are_o_and_then_begin_and_inside_of_each_label():
    assert bio_tags(["PER", "LOC"]) == TAGS
    assert n_tags(2) == len(TAGS)
    for label, name in enumerate(["PER", "LOC"]):
        tags = TAGS[begin_tag(label)], TAGS[inside_tag(label)]
        assert tags == (f"B-{name}", f"I-{name}")


def test_entities_begin_at_b_and_end_before_any_tag_but_their_i():
    names = ["B-LOC", "I-LOC", "B-LOC", "O", "B-PER", "B-LOC", "I-LOC", "I-LOC"]
    tags = [TAGS.index(name) for name in names]
    assert entities_of(tags) == [(0, 2, 1), (2, 3, 1), (4, 5, 0), (5, 8, 1)]
    assert entities_of([0, 0]) == entities_of([]) == []


def test_without_labels_a_prefix_is_allowed_if_one_of_its_tags_is():
    allowed = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]).bool()
    assert without_labels(allowed).int().tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 0]]


def test_inside_begins_no_post_and_follows_only_begin_and_inside_of_its_own_label():
    tags = bio_tags(["PER", "LOC", "ORG"])
    assert start_allowed(3).tolist() == [tag[0] != "I" for tag in tags]
    allowed = transition_allowed(3)
    for i, before in enumerate(tags):
        for j, after in enumerate(tags):
            continues = before[0] in "BI" and before[1:] == after[1:]
            assert bool(allowed[i, j]) == (after[0] != "I" or continues), (before, after)


def test_the_only_tag_without_labels_is_o():
    assert bio_tags([]) == ["O"]
    assert start_allowed(0).tolist() == [True]
    assert transition_allowed(0).tolist() == [[True]]

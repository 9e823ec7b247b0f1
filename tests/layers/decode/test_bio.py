from __future__ import annotations

from spacy_mner.layers.decode import bio_tags, start_allowed, transition_allowed


def test_the_tags_are_outside_and_then_begin_and_inside_of_every_label():
    assert bio_tags(["PER", "LOC"]) == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def test_a_post_may_begin_with_anything_but_inside():
    tags = bio_tags(["PER", "LOC"])
    allowed = {tag for tag, may in zip(tags, start_allowed(2).tolist(), strict=True) if may}
    assert allowed == {"O", "B-PER", "B-LOC"}


def test_inside_follows_only_begin_and_inside_of_its_own_label():
    tags = bio_tags(["PER", "LOC", "ORG"])
    allowed = transition_allowed(3)
    for i, before in enumerate(tags):
        for j, after in enumerate(tags):
            continues = before[0] in "BI" and before[1:] == after[1:]
            assert bool(allowed[i, j]) == (after[0] != "I" or continues), (before, after)


def test_without_labels_only_outside_is_left():
    assert bio_tags([]) == ["O"]
    assert start_allowed(0).tolist() == [True]
    assert transition_allowed(0).tolist() == [[True]]

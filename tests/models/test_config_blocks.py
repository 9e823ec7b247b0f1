from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from thinc.api import Model

from spacy_mner.models import architectures
from spacy_mner.models.config_blocks import describe_block, find_difference

NAME = "spacy_mner.Block.v1"


class Block:
    def __init__(self, **settings: Any) -> None: ...


def block(name: str = NAME, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def test_a_block_is_its_registered_name_and_its_arguments():
    build = partial(partial(Block, width=3, names=("a", "b")), combine="sum")
    expected = block(width=3, names=("a", "b"), combine="sum", n=2)
    assert describe_block(NAME, build, {"n": 2}) == expected


@pytest.mark.parametrize(
    "arguments", [{"dropout": 0.5}, {"segmentation_weight": 2.0}, {"encoder": Block()}]
)
def test_arguments_of_training_alone_and_objects_are_left_out(arguments):
    assert describe_block(NAME, partial(Block, **arguments)) == block()


@pytest.mark.parametrize(
    "saved, built",
    [
        ({"fuse": block(width=3)}, {"fuse": block(width=3)}),
        ({"fuse": block(width=3)}, {"fuse": block(width=3, added_later=True)}),
        ({"fuse": block(width=3, removed_later=True)}, {"fuse": block(width=3)}),
        ({"fuse": block(names=["a"])}, {"fuse": block(names=("a",))}),
    ],
)
def test_arguments_of_other_releases_make_no_difference(saved, built):
    assert find_difference(saved, built) is None


@pytest.mark.parametrize(
    "saved, built, place",
    [
        ({"fuse": block(width=3)}, {"fuse": block(width=4)}, "model.fuse.width"),
        ({"fuse": block()}, {"fuse": block("spacy_mner.Other.v1")}, "model.fuse"),
        ({"embed.image": block()}, {}, "model.embed.image"),
        ({}, {"embed.image": block()}, "model.embed.image"),
    ],
)
def test_another_block_or_value_is_named_by_its_place_in_the_config(saved, built, place):
    difference = find_difference(saved, built)
    assert difference is not None and difference.startswith(f"{place}: ")


SMALLEST = [
    ("embed.one.width", {"embed": {"one": architectures.build_char_bilstm(width=0)}}),
    ("embed.one.character_width", {"embed": {"one": architectures.build_char_cnn(150, 0)}}),
    ("embed.one.window", {"embed": {"one": architectures.build_char_cnn(window=-2)}}),
    (
        "embed.one.bottleneck",
        {"embed": {"one": architectures.build_image_embedding(None, bottleneck=0)}},
    ),
    ("fuse.heads", {"fuse": architectures.build_cross_modal(heads=0)}),
    ("fuse.feedforward", {"fuse": architectures.build_cross_modal(feedforward=0)}),
    ("encode.hidden_width", {"encode": architectures.build_bilstm(hidden_width=0)}),
    ("tok2vec_width", {"tok2vec": Model("tok2vec", lambda *_: None), "tok2vec_width": 0}),
]


@pytest.mark.parametrize(("place", "invalid"), SMALLEST, ids=[place for place, _ in SMALLEST])
def test_a_size_below_one_raises_an_error_with_its_place_in_the_config(place, invalid):
    stages = {
        "embed": {"word": architectures.build_word_vectors()},
        "fuse": architectures.build_concatenate(),
        "encode": architectures.build_no_encoder(),
        "decode": architectures.build_crf(),
    }
    architectures.build_multimodal_tagger(**stages)
    with pytest.raises(ValueError, match=rf"model\.{place} must be at least 1"):
        architectures.build_multimodal_tagger(**{**stages, **invalid})

from __future__ import annotations

from functools import partial
from typing import Any

from spacy_mner.models.config_blocks import describe_block


class Block:
    def __init__(self, **settings: Any) -> None: ...


def test_a_block_is_named_with_its_settings_in_one_order():
    build = partial(partial(Block, width=3, names=["a", "b"]), combine="sum")
    described = "Block(combine='sum', keep=0.5, names=['a', 'b'], width=3)"
    assert describe_block(build, {"keep": 0.5}) == described
    assert describe_block(partial(Block, names=("a", "b"), width=3, keep=0.5, combine="sum")) == (
        described
    )


def test_settings_of_training_alone_are_left_out():
    assert describe_block(partial(Block, dropout=0.5, segmentation_weight=2.0)) == "Block()"


def test_a_setting_that_is_an_object_is_named_by_its_type():
    """Its own words may hold its address, which differs from run to run."""
    assert describe_block(partial(Block, inner=Block())) == "Block(inner=Block)"
    assert describe_block(Block()) == "Block()"

"""Validation of the sizes in a config."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from spacy_mner.layers.embed import Tok2VecEmbedding, TransformerEmbedding
from spacy_mner.models import architectures

# Builder of a block, sizes that depend on data, and settings that are sizes.
EMBEDDERS = [
    (architectures.build_word_vectors, {"dim": 0, "n_words": 3}, ["width"]),
    (architectures.build_word_vectors, {"dim": 5, "n_words": 3}, ["width"]),
    (architectures.build_char_bilstm, {"n_characters": 3}, ["width", "character_width"]),
    (architectures.build_char_cnn, {"n_characters": 3}, ["width", "character_width", "window"]),
    (architectures.build_semantic_augmentation, {"dim": 5}, ["width"]),
    (architectures.build_object_embedding, {"n_labels": 3, "dim": 0}, ["width"]),
]
STAGES = [
    (architectures.build_cross_modal, {"widths": {"word": 8}}, ["width", "heads", "feedforward"]),
    (architectures.build_bilstm, {"input_width": 8}, ["hidden_width"]),
    (architectures.build_coupled_bilstm, {"input_width": 8}, ["hidden_width"]),
]
CASES = [
    pytest.param(build, of_data, setting, id=f"{build.__name__}.{setting}")
    for build, of_data, settings in [*EMBEDDERS, *STAGES]
    for setting in settings
]


def builder_of(block: Any) -> Callable:
    return block.embedder if hasattr(block, "embedder") else block.build


@pytest.mark.parametrize("size", [0, -2])
@pytest.mark.parametrize(("build", "of_data", "setting"), CASES)
def test_a_size_below_one_raises_an_error_with_the_setting(
    build: Callable, of_data: dict[str, Any], setting: str, size: int
):
    block = build(**{setting: size})
    with pytest.raises(ValueError, match=rf"needs {setting} to be at least 1, got {size}"):
        builder_of(block)(**of_data)


@pytest.mark.parametrize(("build", "of_data", "setting"), CASES)
def test_a_size_of_one_is_valid(build: Callable, of_data: dict[str, Any], setting: str):
    size = 2 if build is architectures.build_char_bilstm else 1
    one_head = {"heads": 1} if build is architectures.build_cross_modal else {}
    block = build(**{**one_head, setting: size})
    builder_of(block)(**of_data)


@pytest.mark.parametrize("size", [0, -2])
def test_a_size_below_one_raises_an_error_for_blocks_that_need_other_networks(size: int):
    def message(setting: str) -> str:
        return re.escape(f"needs {setting} to be at least 1, got {size}")

    image = architectures.build_image_embedding(None, width=size)
    with pytest.raises(ValueError, match=message("width")):
        image.embedder(dim=5)
    with pytest.raises(ValueError, match=message("tok2vec_width")):
        Tok2VecEmbedding(width=size, dim=5, dropout=0.0)
    with pytest.raises(ValueError, match=message("width")):
        TransformerEmbedding(encoder=nn.Identity(), dim=5, width=size, dropout=0.0, freeze=False)

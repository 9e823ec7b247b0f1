"""Validation of the sizes in a config."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from spacy_mner.layers import embed
from spacy_mner.layers.encode import BiLSTM, CoupledBiLSTM
from spacy_mner.layers.fuse import CrossModal

from .fuse.random_batches import SETTINGS

NO_DROPOUT = {"dropout": 0.0}
CHARACTERS = {"n_characters": 3, **NO_DROPOUT}
WHOLE = {"encoder": nn.Identity(), "dim": 1, "freeze": False, **NO_DROPOUT}
CROSS_MODAL = {n: v for n, v in SETTINGS.items() if n not in ("width", "heads", "feedforward")}
# Settings that are sizes, and the other arguments of the layer.
LAYERS: list[tuple[type, list[str], dict[str, Any]]] = [
    (embed.WordVectors, ["width"], {"dim": 0, "n_words": 3, **NO_DROPOUT}),
    (embed.CharBiLSTM, ["width", "character_width"], CHARACTERS),
    (embed.CharCNN, ["width", "character_width", "window"], CHARACTERS),
    (embed.SemanticAugmentation, ["width"], {"dim": 5, **NO_DROPOUT}),
    (embed.ImageEmbedding, ["width", "bottleneck"], {"dim": 5, **NO_DROPOUT}),
    (embed.ObjectEmbedding, ["width"], {"n_labels": 3, "dim": 0, **NO_DROPOUT}),
    (embed.TransformerEmbedding, ["width"], WHOLE),
    (BiLSTM, ["hidden_width"], {"input_width": 8, **NO_DROPOUT}),
    (CoupledBiLSTM, ["hidden_width"], {"input_width": 8, **NO_DROPOUT}),
    (CrossModal, ["width", "heads", "feedforward"], CROSS_MODAL),
]


@pytest.mark.parametrize(
    ("layer", "settings", "others"), LAYERS, ids=lambda x: getattr(x, "__name__", "")
)
def test_sizes_are_at_least_one(layer: type, settings: list[str], others: dict[str, Any]):
    # The two directions of CharBiLSTM share its width.
    smallest = dict.fromkeys(settings, 1) | ({"width": 2} if layer is embed.CharBiLSTM else {})
    layer(**smallest, **others)
    for setting in settings:
        for size in (0, -2):
            with pytest.raises(ValueError, match=rf"needs {setting} to be at least 1, got {size}"):
                layer(**{**smallest, setting: size}, **others)


def test_the_width_of_a_shared_tok2vec_is_at_least_one():
    with pytest.raises(ValueError, match="needs tok2vec_width to be at least 1, got 0"):
        embed.Tok2VecEmbedding(width=0, dim=5, dropout=0.0)

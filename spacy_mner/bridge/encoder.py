"""Text encoders of Hugging Face as torch modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..huggingface import from_pretrained, transformers
from ..layers.embed import TransformerEmbedding


def build_transformer_embedding(
    *, config: dict[str, Any], width: int | None, dropout: float, freeze: bool
) -> TransformerEmbedding:
    """The embedder of a transformer, with room for the encoder's weights: they are loaded next.

    config: the encoder's config.json.
    """
    library = transformers()
    # Random weights take seconds to draw, only to be replaced.
    with library.modeling_utils.no_init_weights():
        encoder = library.AutoModel.from_config(
            library.AutoConfig.for_model(**config), torch_dtype=torch.float32
        )
    return TransformerEmbedding(
        encoder=encoder,
        dim=encoder.config.hidden_size,
        width=width,
        dropout=dropout,
        freeze=freeze,
    )


def load_weights(embedding: nn.Module, *, name: str) -> None:
    """Give a fresh embedder the pretrained weights of its encoder, by its name or folder."""
    assert isinstance(embedding, TransformerEmbedding)
    pretrained = from_pretrained("AutoModel", name, torch_dtype=torch.float32)
    embedding.encoder.load_state_dict(pretrained.state_dict())

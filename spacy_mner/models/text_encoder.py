"""Text encoders of Hugging Face as torch modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..features.huggingface import text_encoder, unsupported_encoder_error
from ..layers.embed import TransformerEmbedding
from ..utils.hub_model import build_from_config, first_line


def build_transformer_embedding(
    *, config: dict[str, Any], width: int | None, dropout: float, freeze: bool
) -> TransformerEmbedding:
    """Build the embedder without initializing the encoder's weights, which are loaded next.

    config: the encoder's config.json.
    """
    encoder = build_from_config(config)
    return TransformerEmbedding(
        encoder=encoder,
        dim=encoder.config.hidden_size,
        width=width,
        dropout=dropout,
        freeze=freeze,
    )


def load_weights(embedding: nn.Module, *, name: str, revision: str | None) -> None:
    """Load the pretrained weights of an encoder into a new embedder, as float32."""
    assert isinstance(embedding, TransformerEmbedding)
    pretrained = text_encoder(name, revision).load("AutoModel")
    embedding.encoder.load_state_dict(pretrained.float().state_dict())
    _check_forward(embedding, name)


def _check_forward(embedding: TransformerEmbedding, name: str) -> None:
    """Reject a model that needs more than word pieces, or whose output width is unexpected."""
    parameter = next(embedding.parameters())
    piece = torch.zeros(1, dtype=torch.int64, device=parameter.device)
    features = {"pieces": piece, "lengths": torch.tensor([1]), "first_piece": piece}
    try:
        with torch.no_grad():
            width = embedding.eval()(features, torch.tensor([1])).vectors.shape[1]
    except Exception as error:
        raise unsupported_encoder_error(
            name, f"it does not accept word pieces alone ({first_line(error)})"
        ) from error
    if width != embedding.width:
        raise unsupported_encoder_error(
            name, f"its vectors have the width {width}, not {embedding.width}"
        )

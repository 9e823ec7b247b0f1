"""Text encoders of Hugging Face as torch modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..features.huggingface import from_pretrained, transformers, unsupported_encoder_error
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
    _try_out(embedding, name)


def _try_out(embedding: TransformerEmbedding, name: str) -> None:
    """Refuse a model that wants more than word pieces, or says something else than it should."""
    parameter = next(embedding.parameters())
    piece = torch.zeros(1, dtype=torch.int64, device=parameter.device)
    features = {"pieces": piece, "lengths": torch.tensor([1]), "place": piece}
    try:
        with torch.no_grad():
            width = embedding.eval()(features, torch.tensor([1])).vectors.shape[1]
    except Exception as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise unsupported_encoder_error(
            name, f"it cannot read word pieces alone ({reason})"
        ) from error
    if width != embedding.width:
        raise unsupported_encoder_error(
            name, f"its vectors have the width {width}, not {embedding.width}"
        )

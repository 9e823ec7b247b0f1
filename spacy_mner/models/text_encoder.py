"""Text encoders of Hugging Face as torch modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..features.huggingface import from_pretrained, import_library, unsupported_encoder_error
from ..layers.embed import TransformerEmbedding


def build_transformer_embedding(
    *, config: dict[str, Any], width: int | None, dropout: float, freeze: bool
) -> TransformerEmbedding:
    """Build the embedder without initializing the encoder's weights, which are loaded next.

    config: the encoder's config.json.
    """
    library = import_library("transformers")
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # transformers 4
        from transformers.modeling_utils import no_init_weights
    # Without its dtype (torch_dtype in transformers 4), an encoder is built in float32.
    config = {key: v for key, v in config.items() if key not in ("dtype", "torch_dtype")}
    with no_init_weights():
        encoder = library.AutoModel.from_config(library.AutoConfig.for_model(**config))
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
    pretrained = from_pretrained("AutoModel", name, revision)
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
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise unsupported_encoder_error(
            name, f"it does not accept word pieces alone ({reason})"
        ) from error
    if width != embedding.width:
        raise unsupported_encoder_error(
            name, f"its vectors have the width {width}, not {embedding.width}"
        )

"""Vectors of a shared tok2vec or transformer component."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..types import Features, TokenVectors


class Tok2VecEmbedding(nn.Module):
    """Projects the vectors of a spaCy tok2vec or transformer; gradients flow back into it.

    width: of the output.
    dim: of the input.
    dropout: on the input.

    Features: `vectors` float [n_tokens, dim].
    """

    def __init__(self, *, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(dim, width)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        vectors = self.projection(self.dropout(features["vectors"]))
        return TokenVectors(vectors, vectors.new_ones(len(vectors), dtype=torch.bool))

"""Word vectors, pretrained or learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..types import Features, TokenVectors


class WordVectors(nn.Module):
    """One vector per word form, pretrained and projected, or learned where there are none.

    width: of the result.
    dim: of the pretrained vectors, which stay as they are; 0 where there are none.
    n_words: size of the learned table of training words; read only where dim is 0.
    dropout: on the pretrained vectors before their projection, or on the learned vectors.

    Features: `vectors` float [n_distinct, dim] and `known` bool [n_distinct] (dim > 0), or `row`
    int64 [n_distinct], 0 for an unknown word (dim = 0); `token` int64 [n_tokens], the place of
    every token among the distinct ones. Unknown words share one learned vector.
    """

    def __init__(self, *, width: int, dim: int, n_words: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.dim = dim
        self.dropout = nn.Dropout(dropout)
        if dim:
            self.unknown = nn.Parameter(torch.zeros(dim))
            self.project = nn.Linear(dim, width)
        else:
            self.table = nn.Embedding(n_words + 1, width)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        distinct = self._pretrained(features) if self.dim else self._learned(features)
        token = features["token"]
        return TokenVectors(
            functional.embedding(token, distinct), torch.ones_like(token, dtype=torch.bool)
        )

    def _pretrained(self, features: Features) -> Tensor:
        known = features["known"].unsqueeze(1)
        projected: Tensor = self.project(
            self.dropout(torch.where(known, features["vectors"], self.unknown))
        )
        return projected

    def _learned(self, features: Features) -> Tensor:
        vectors: Tensor = self.dropout(self.table(features["row"]))
        return vectors

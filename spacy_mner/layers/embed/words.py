"""Word vectors, pretrained or learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..sizes import check_sizes
from ..types import Features, TokenVectors


class WordVectors(nn.Module):
    """One vector per word form, pretrained and projected, or learned where there are none.

    width: of the result.
    dim: of the pretrained vectors; 0 where there are none.
    n_words: training words with a row of their own. Where dim is 0 the rows are the word vectors;
        otherwise they start at zero and are added to the pretrained vectors, which so are
        fine-tuned for the words of training (all of them frozen where n_words is 0).
    dropout: on the vectors before their projection, or on the learned vectors.

    Features: `vectors` float [n_distinct, dim] and `known` bool [n_distinct] (dim > 0); `row` int64
    [n_distinct], 0 for a word without (read only where there are rows); `token` int64 [n_tokens],
    the place of every token among the distinct ones. Words without vector share a learned one.
    """

    def __init__(self, *, width: int, dim: int, n_words: int, dropout: float) -> None:
        super().__init__()
        check_sizes("WordVectors", width=width)
        self.width = width
        self.dim = dim
        self.dropout = nn.Dropout(dropout)
        self.finetuned = bool(dim and n_words)
        if dim:
            self.unknown = nn.Parameter(torch.zeros(dim))
            self.project = nn.Linear(dim, width)
        if self.finetuned:
            self.change = nn.Embedding(n_words + 1, dim, padding_idx=0)
            nn.init.zeros_(self.change.weight)
        if not dim:
            self.table = nn.Embedding(n_words + 1, width)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        distinct = self._pretrained(features) if self.dim else self._learned(features)
        token = features["token"]
        return TokenVectors(
            functional.embedding(token, distinct),
            torch.ones_like(token, dtype=torch.bool),
            self._known(features)[token],
        )

    def _known(self, features: Features) -> Tensor:
        """The distinct words that have a vector of their own: bool [n_distinct]."""
        if not self.dim:
            return features["row"] > 0
        known = features["known"]
        return known | (features["row"] > 0) if self.finetuned else known

    def _pretrained(self, features: Features) -> Tensor:
        known = features["known"].unsqueeze(1)
        vectors = torch.where(known, features["vectors"], self.unknown)
        if self.finetuned:
            vectors = vectors + self.change(features["row"])
        projected: Tensor = self.project(self.dropout(vectors))
        return projected

    def _learned(self, features: Features) -> Tensor:
        vectors: Tensor = self.dropout(self.table(features["row"]))
        return vectors

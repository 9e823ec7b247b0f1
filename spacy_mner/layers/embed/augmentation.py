"""A word by its neighbors among the words of a large vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..sizes import check_sizes
from ..types import Features, TokenVectors


class SemanticAugmentation(nn.Module):
    """The vectors of the words most similar to a word, weighed by how similar they are.

        a(w) = sum_i softmax(c)_i e(n_i)    result = W_a Dropout(a(w)) + b

    for the neighbors n_i of w, with their similarities c_i and their vectors e (Nie et al. 2020;
    Liu et al. 2022). Words without neighbors share a learned vector in the place of a(w), small
    and uniform at first, so that every word is available.

    width: of the result.
    dim: of the neighbors' vectors.
    dropout: on a(w).

    Features: `vectors` float [n_distinct, n, dim], `similarity` float [n_distinct, n] and
    `available` bool [n_distinct, n] of the n neighbors; `token` int64 [n_tokens], the place of
    every token among the distinct ones.
    """

    def __init__(self, *, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        check_sizes("SemanticAugmentation", width=width)
        self.width = width
        self.unknown = nn.Parameter(torch.empty(dim).uniform_(-0.1, 0.1))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(dim, width)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        token = features["token"]
        distinct = self.project(self.dropout(self._augment(features)))
        return TokenVectors(
            functional.embedding(token, distinct), torch.ones_like(token, dtype=torch.bool)
        )

    def _augment(self, features: Features) -> Tensor:
        """a(w) of the distinct words: [n_distinct, dim]."""
        available, similarity = features["available"], features["similarity"]
        # The lowest finite number: -inf would make NaN of a word with no neighbor at all.
        lowest = torch.finfo(similarity.dtype).min
        weights = similarity.masked_fill(~available, lowest).softmax(dim=1)
        mean = torch.bmm(weights.unsqueeze(1), features["vectors"]).squeeze(1)
        return torch.where(available.any(dim=1, keepdim=True), mean, self.unknown)

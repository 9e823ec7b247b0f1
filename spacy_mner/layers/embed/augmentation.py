"""Semantic augmentation: a word by its nearest words in a large vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ragged import tokens_from_distinct
from ..types import Features, TokenVectors


class SemanticAugmentation(nn.Module):
    """The mean of the vectors of a word's nearest words, weighted by similarity, projected.

        a(w) = sum_i softmax(c)_i e(n_i)    output = W_a Dropout(a(w)) + b

    for the nearest words n_i of w, their similarities c_i and their vectors e (Nie et al. 2020;
    Liu et al. 2022). Words without nearest words share a learned vector in place of a(w),
    initialized small and uniform, so that all tokens are available.

    width: of the output.
    dim: of the vectors of the nearest words.
    dropout: on a(w).

    Features: `vectors` float [n_distinct, n, dim], `similarity` float [n_distinct, n] and
    `available` bool [n_distinct, n] of the n nearest words; `token` int64 [n_tokens], the index of
    each token among the distinct words.
    """

    def __init__(self, *, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.unknown_vector = nn.Parameter(torch.empty(dim).uniform_(-0.1, 0.1))
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(dim, width)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        distinct = self.projection(self.dropout(self._augment(features)))
        return tokens_from_distinct(distinct, features["token"])

    def _augment(self, features: Features) -> Tensor:
        """a(w) of the distinct words: [n_distinct, dim]."""
        available, similarity = features["available"], features["similarity"]
        # The lowest finite number, because a softmax over -inf only is NaN.
        lowest = torch.finfo(similarity.dtype).min
        weights = similarity.masked_fill(~available, lowest).softmax(dim=1)
        mean = torch.bmm(weights.unsqueeze(1), features["vectors"]).squeeze(1)
        return torch.where(available.any(dim=1, keepdim=True), mean, self.unknown_vector)

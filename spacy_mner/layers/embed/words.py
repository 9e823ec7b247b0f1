"""Word vectors, pretrained or learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ragged import tokens_from_distinct
from ..types import Features, TokenVectors


class WordVectors(nn.Module):
    """One vector per word: pretrained and projected, or learned if there are no pretrained ones.

    width: of the output.
    dim: of the pretrained vectors; 0 if there are none.
    n_words: training words with a row of their own. If dim is 0, the rows are the word vectors;
        otherwise they are added to the pretrained vectors, from 0, to fine-tune those of training
        words (none if n_words is 0).
    dropout: on the vectors before their projection, or on the learned vectors.

    Features: `vectors` float [n_distinct, dim] and `known` bool [n_distinct] (if dim > 0); `row`
    int64 [n_distinct], 0 for a word without row (if there are rows); `token` int64 [n_tokens], the
    index of each token among the distinct words. Words without vector share a learned one.
    """

    def __init__(self, *, width: int, dim: int, n_words: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.dim = dim
        self.dropout = nn.Dropout(dropout)
        self.finetuned = bool(dim and n_words)
        if dim:
            self.unknown_vector = nn.Parameter(torch.zeros(dim))
            self.projection = nn.Linear(dim, width)
        if self.finetuned:
            self.offsets = nn.Embedding(n_words + 1, dim, padding_idx=0)
            nn.init.zeros_(self.offsets.weight)
        if not dim:
            self.embedding = nn.Embedding(n_words + 1, width)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        if not self.dim:
            known = features["row"] > 0
            distinct = self.dropout(self.embedding(features["row"]))
            return tokens_from_distinct(distinct, features["token"], known)
        known = features["known"]
        vectors = torch.where(known.unsqueeze(1), features["vectors"], self.unknown_vector)
        if self.finetuned:
            vectors = vectors + self.offsets(features["row"])
            known = known | (features["row"] > 0)
        distinct = self.projection(self.dropout(vectors))
        return tokens_from_distinct(distinct, features["token"], known)

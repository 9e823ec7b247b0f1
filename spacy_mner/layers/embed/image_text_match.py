"""Vectors of what a token has in common with the text of the image."""

from __future__ import annotations

from torch import Tensor, nn

from ..types import Features, TokenVectors

INITIAL_SIZE = 0.1


class ImageTextMatch(nn.Module):
    """The sum of the embeddings of a token's discrete features.

    width: of the output.
    n_values: number of values of all features.
    dropout: on the output.

    Features: `values` int64 [n_tokens, n_features], each below n_values, with values of its own in
    each column; `available` bool [n_tokens], False in a post without image text.
    """

    def __init__(self, *, width: int, n_values: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(n_values, width)
        # Of the size of other modalities: a sum of embeddings of size 1 drowns them.
        nn.init.normal_(self.embedding.weight, std=INITIAL_SIZE)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        vectors = self.dropout(self.embedding(features["values"]).sum(dim=1))
        return TokenVectors(vectors, features["available"])

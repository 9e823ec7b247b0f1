"""Pretrained word vectors in few bits."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Features, TokenVectors
from .words import WordVectors

# Largest absolute value in the table. A byte holds 127, but values up to 10 compress to 4 bits in a
# wheel. A trained pipeline whose table was rounded to 15 had the same F1; to 7, 0.8 points less.
MAX_VALUE = 10


class StoredVectors(WordVectors):
    """`WordVectors` with a table of pretrained vectors of its own, which is not trained.

    n_stored: words in the table. Its numbers are small integers, times one float16 per word.

    Features: those of `WordVectors`, with `stored_row` int64 [n_distinct], 0 for a word that is not
    in the table, in place of `vectors` and `known`.
    """

    table: Tensor
    scale: Tensor

    def __init__(
        self, *, width: int, dim: int, n_stored: int, n_words: int, dropout: float
    ) -> None:
        super().__init__(width=width, dim=dim, n_words=n_words, dropout=dropout)
        self.register_buffer("table", torch.zeros(n_stored + 1, dim, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(n_stored + 1, 1, dtype=torch.float16))

    def store(self, vectors: Tensor) -> None:
        """Set the table to float [n_stored, dim]; the largest value of a word becomes MAX_VALUE."""
        scale = (vectors.abs().amax(dim=1, keepdim=True) / MAX_VALUE).to(self.scale)
        divisor = torch.where(scale > 0, scale, 1).float()
        self.scale[1:] = scale
        self.table[1:] = (
            (vectors.to(divisor) / divisor).round().clamp(-MAX_VALUE, MAX_VALUE).to(self.table)
        )

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        row = features["stored_row"]
        vectors = self.table[row].float() * self.scale[row].float()
        return super().forward({**features, "vectors": vectors, "known": row > 0}, lengths)

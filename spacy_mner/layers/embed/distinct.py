"""Vectors of tokens from those of the distinct words of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..types import TokenVectors


def tokens_from_distinct(
    distinct: Tensor, token: Tensor, known: Tensor | None = None
) -> TokenVectors:
    """Repeat the vector of each distinct word at its tokens, all of them available.

    distinct: [n_distinct, width]. token: int64 [n_tokens], indices of distinct words.
    known: bool [n_distinct], as in `TokenVectors`.
    """
    return TokenVectors(
        functional.embedding(token, distinct),
        torch.ones_like(token, dtype=torch.bool),
        None if known is None else known[token],
    )

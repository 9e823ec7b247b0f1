"""Pretrained word vectors for a new embedder."""

from __future__ import annotations

import torch
from torch import nn

from ..features.stored_vectors import read_vectors
from ..layers.embed import StoredVectors


def load_vectors(embedding: nn.Module, *, path: str | None, max_words: int) -> None:
    """Store the vectors of `read_vectors` in an embedder."""
    assert isinstance(embedding, StoredVectors)
    _, vectors = read_vectors(path, max_words)
    embedding.store(torch.from_numpy(vectors).to(embedding.scale.device))

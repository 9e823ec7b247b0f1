"""Vectors of the objects in a post's images."""

from __future__ import annotations

from torch import Tensor, nn

from ..types import Features, RegionVectors


class ObjectEmbedding(nn.Module):
    """A label embedding for each object, plus its projected vector if objects have vectors.

    (Liu et al. 2022 embed the labels alone.) The layer norm before the projection makes up for the
    different scales of detectors.

    width: of the output.
    n_labels: size of the label vocabulary.
    dim: of the objects' vectors; 0 if they have none.
    dropout: on the output.

    Features: `label` int64 [n_posts, n_objects], from 1, and 0 for an object without a known label;
    `vectors` float [n_posts, n_objects, dim] if dim > 0; `available` bool [n_posts, n_objects].
    Objects that are not available are 0 in the output.
    """

    def __init__(self, *, width: int, n_labels: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(n_labels + 1, width, padding_idx=0)
        self.projection = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width)) if dim else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> RegionVectors:
        available = features["available"]
        objects = self.embedding(features["label"])
        if self.projection is not None:
            objects = objects + self.projection(features["vectors"])
        objects = self.dropout(objects).masked_fill(~available.unsqueeze(2), 0)
        return RegionVectors(objects, available)

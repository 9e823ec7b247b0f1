"""The objects that were found in a post's images."""

from __future__ import annotations

from torch import Tensor, nn

from ..sizes import check_sizes
from ..types import Features, RegionVectors


class ObjectEmbedding(nn.Module):
    """A learned vector for the label of each object, plus the object's own vector, projected.

    (Liu et al. 2022 embed the labels alone.) Vectors of different detectors differ by orders of
    magnitude, hence the layer norm before the projection.

    width: of the result.
    n_labels: how many labels have a vector of their own.
    dim: of the objects' own vectors; 0 where they bring none.
    dropout: on the result.

    Features: `label` int64 [n_posts, n_objects], from 1, and 0 for an object without a label;
    `vectors` float [n_posts, n_objects, dim], where dim is not 0; `available` bool [n_posts,
    n_objects]. Objects that are not available come out as zeros.
    """

    def __init__(self, *, width: int, n_labels: int, dim: int, dropout: float) -> None:
        super().__init__()
        check_sizes("ObjectEmbedding", width=width)
        self.width = width
        self.embed = nn.Embedding(n_labels + 1, width, padding_idx=0)
        self.project = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width)) if dim else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> RegionVectors:
        available = features["available"]
        objects = self.embed(features["label"])
        if self.project is not None:
            objects = objects + self.project(features["vectors"])
        objects = self.dropout(objects).masked_fill(~available.unsqueeze(2), 0)
        return RegionVectors(objects, available)

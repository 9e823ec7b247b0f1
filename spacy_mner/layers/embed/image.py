"""The picture of a post, from features of a frozen encoder."""

from __future__ import annotations

from torch import Tensor, nn

from ..types import Features, RegionMemory


class ImageEmbedding(nn.Module):
    """Normalise and project the regions of a post's pictures.

    Features of different encoders differ by orders of magnitude, hence the layer norm.

    width: of the result.
    dim: of the features.
    dropout: on the normalised features.

    Features: `regions` float [n_posts, n_regions, dim], `available` bool [n_posts, n_regions].
    Regions that are not available come out as zeros.
    """

    def __init__(self, *, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.normalise = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(dim, width)

    def forward(self, features: Features, lengths: Tensor) -> RegionMemory:
        available = features["available"]
        regions = self.project(self.dropout(self.normalise(features["regions"])))
        return RegionMemory(regions.masked_fill(~available.unsqueeze(2), 0), available)

"""The image of a post, from features of a frozen encoder."""

from __future__ import annotations

from torch import Tensor, nn

from ..sizes import check_sizes
from ..types import Features, RegionVectors


class ImageEmbedding(nn.Module):
    """Normalize and project the regions of a post's images.

    Features of different encoders differ by orders of magnitude, hence the layer norm.

    width: of the result.
    dim: of the features.
    dropout: on the normalized features, and on the bottleneck.
    bottleneck: width through which the features are squeezed on their way, or None for a single
        projection. Every post has features of its own, by which a network can learn its training
        posts by heart; a few numbers leave room for what images have in common alone.

    Features: `regions` float [n_posts, n_regions, dim], `available` bool [n_posts, n_regions].
    Regions that are not available come out as zeros.
    """

    def __init__(self, *, width: int, dim: int, dropout: float, bottleneck: int | None) -> None:
        super().__init__()
        check_sizes("ImageEmbedding", width=width, bottleneck=bottleneck)
        self.width = width
        self.normalize = nn.LayerNorm(dim)
        self.project: nn.Module = nn.Linear(dim, width)
        if bottleneck is not None:
            self.project = nn.Sequential(
                nn.Linear(dim, bottleneck),
                nn.Tanh(),
                nn.Dropout(dropout),
                nn.Linear(bottleneck, width),
            )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> RegionVectors:
        available = features["available"]
        regions = self.project(self.dropout(self.normalize(features["regions"])))
        return RegionVectors(regions.masked_fill(~available.unsqueeze(2), 0), available)

"""Vectors of image regions from the features of a frozen encoder."""

from __future__ import annotations

from torch import Tensor, nn

from ..types import Features, RegionVectors


class ImageEmbedding(nn.Module):
    """Normalizes and projects the regions of a post's images.

    The layer norm makes up for the different scales of encoders.

    width: of the output.
    dim: of the features.
    dropout: on the normalized features and on the bottleneck.
    bottleneck: width of a hidden layer before the output, or None for a single projection. A
        narrow one regularizes: image features identify a post, and with enough of them a network
        memorizes its training posts.

    Features: `regions` float [n_posts, n_regions, dim], `available` bool [n_posts, n_regions].
    Regions that are not available are 0 in the output.
    """

    def __init__(self, *, width: int, dim: int, dropout: float, bottleneck: int | None) -> None:
        super().__init__()
        self.width = width
        self.input_norm = nn.LayerNorm(dim)
        self.projection: nn.Module = nn.Linear(dim, width)
        if bottleneck is not None:
            self.projection = nn.Sequential(
                nn.Linear(dim, bottleneck),
                nn.Tanh(),
                nn.Dropout(dropout),
                nn.Linear(bottleneck, width),
            )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> RegionVectors:
        available = features["available"]
        regions = self.projection(self.dropout(self.input_norm(features["regions"])))
        return RegionVectors(regions.masked_fill(~available.unsqueeze(2), 0), available)

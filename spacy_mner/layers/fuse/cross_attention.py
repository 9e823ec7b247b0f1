"""Cross-attention between the tokens of a post and the regions of one modality."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ..transformer_layer import TransformerLayer
from ..types import RegionVectors
from .gate import Gate


class CrossAttention(nn.Module):
    """Two paths of cross-attention from tokens to regions, and their gated sum.

        H1 = Cross(T, Self(W_1 V))    H2 = Cross(T, Cross(Self(W_2 V), T))
        F  = g * H1 + (1 - g) * H2

    for the tokens T and the regions V of a post (Liu et al. 2022). In H2, regions attend to the
    tokens before tokens attend to regions. F is 0 in a post without regions.

    projection: builds W_1 and W_2.
    layer: builds a transformer layer.
    gate: g; None for the mean of H1 and H2.
    region_first: compute H2; otherwise F = H1.
    """

    def __init__(
        self,
        *,
        projection: Callable[[], nn.Module],
        layer: Callable[[], TransformerLayer],
        gate: Gate | None,
        region_first: bool,
    ) -> None:
        super().__init__()
        self.region_first = region_first
        self.region_projection = projection()
        self.region_self_attention, self.text_to_region = layer(), layer()
        if region_first:
            self.region_projection_2 = projection()
            self.region_self_attention_2 = layer()
            self.region_to_text, self.text_to_region_2 = layer(), layer()
            self.gate = gate

    def forward(
        self, text: Tensor, is_token: Tensor, modality: RegionVectors, *, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """F, of the shape of `text`, and the attention weights of H1 if needed.

        text: [n_posts, longest, width]. is_token: bool [n_posts, longest].

        The weights [n_posts, longest, n_regions] are averages over the heads, 0 for regions that
        are not available.
        """
        available = modality.available
        projected = self.region_projection(modality.regions)
        regions, _ = self.region_self_attention(projected, projected, available)
        output, weights = self.text_to_region(text, regions, available, need_weights=need_weights)
        if self.region_first:
            second = self._second_path(text, is_token, modality)
            output = (output + second) / 2 if self.gate is None else self.gate(output, second)
        no_regions = ~available.any(dim=1)[:, None, None]
        if weights is not None:
            weights = weights.masked_fill(no_regions, 0)
        return output.masked_fill(no_regions, 0), weights

    def _second_path(self, text: Tensor, is_token: Tensor, modality: RegionVectors) -> Tensor:
        """H2: [n_posts, longest, width]."""
        projected = self.region_projection_2(modality.regions)
        regions, _ = self.region_self_attention_2(projected, projected, modality.available)
        regions, _ = self.region_to_text(regions, text, is_token)
        output: Tensor = self.text_to_region_2(text, regions, modality.available)[0]
        return output

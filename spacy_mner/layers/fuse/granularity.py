"""One granularity of the image, and what the tokens of a post make of it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ..transformer_layer import TransformerLayer
from ..types import RegionVectors
from .gate import Gate


class Granularity(nn.Module):
    """Tokens ask regions; and tokens ask regions that have asked the tokens before.

        H1 = Cross(T, Self(W_1 V))    H2 = Cross(T, Cross(Self(W_2 V), T))
        F  = g * H1 + (1 - g) * H2

    for the tokens T and the regions V of a post (Liu et al. 2022). F is zero in a post without
    any region.

    project: makes W_1 and W_2, to the width of the layers.
    layer: makes a transformer layer.
    gate: g, or None for the mean of H1 and H2.
    region_first: with H2; without, F = H1.
    """

    def __init__(
        self,
        *,
        project: Callable[[], nn.Module],
        layer: Callable[[], TransformerLayer],
        gate: Gate | None,
        region_first: bool,
    ) -> None:
        super().__init__()
        self.region_first = region_first
        self.project, self.read, self.ask = project(), layer(), layer()
        if region_first:
            self.project_first, self.read_first = project(), layer()
            self.answer, self.ask_answered = layer(), layer()
            self.gate = gate

    def forward(
        self, text: Tensor, is_token: Tensor, memory: RegionVectors, *, keep_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """F, and the weights of H1 where they are kept.

        text: [n_posts, longest, width]; is_token: bool [n_posts, longest].

        F is as large as the text. The weights [n_posts, longest, n_regions] are averages over the
        heads, zero for regions that are not available.
        """
        available = memory.available
        projected = self.project(memory.regions)
        regions, _ = self.read(projected, projected, available)
        heard, weights = self.ask(text, regions, available, keep_weights=keep_weights)
        if self.region_first:
            heard = self._mix(heard, self._region_first(text, is_token, memory))
        is_blind = ~available.any(dim=1)[:, None, None]
        if weights is not None:
            weights = weights.masked_fill(is_blind, 0)
        return heard.masked_fill(is_blind, 0), weights

    def _region_first(self, text: Tensor, is_token: Tensor, memory: RegionVectors) -> Tensor:
        projected = self.project_first(memory.regions)
        regions, _ = self.read_first(projected, projected, memory.available)
        answered, _ = self.answer(regions, text, is_token)
        heard: Tensor = self.ask_answered(text, answered, memory.available)[0]
        return heard

    def _mix(self, first: Tensor, second: Tensor) -> Tensor:
        if self.gate is None:
            return (first + second) / 2
        mixed: Tensor = self.gate(first, second)
        return mixed

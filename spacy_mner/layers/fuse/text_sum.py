"""The sum of all text modalities."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..types import Embedded, TokenVectors
from .gate import Gate


class TextSum(nn.Module):
    """Projects all modalities with a vector per token to one width and adds them.

        S = Dropout(X)                        X = sum of W_m x_m
        S = Dropout(g * X + (1 - g) * A)      if one modality, A, is gated against the sum X

    A modality that has the output width is not projected. A modality that is not available at a
    token is left out there.

    widths: modality name to width.
    width: of the output.
    gated: the modality that is gated, one of `widths`; None for no gate.
    dropout: on the output.
    """

    def __init__(
        self, *, widths: Mapping[str, int], width: int, gated: str | None, dropout: float
    ) -> None:
        super().__init__()
        self.names = tuple(widths)
        # A list, because torch reserves some names.
        self.projections = nn.ModuleList(projection(w, width) for w in widths.values())
        self.gated = gated
        if gated is not None:
            self.gate = Gate(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Mapping[str, Embedded]) -> Tensor:
        """[n_tokens, width]; modalities with regions are ignored."""
        projected = {}
        for name, project in zip(self.names, self.projections, strict=True):
            modality = embedded[name]
            if isinstance(modality, TokenVectors):
                is_absent = ~modality.available.unsqueeze(1)
                projected[name] = project(modality.vectors).masked_fill(is_absent, 0)
        terms = [vectors for name, vectors in projected.items() if name != self.gated]
        text = torch.stack(terms).sum(dim=0)
        if self.gated is not None:
            mixed = self.gate(text, projected[self.gated])
            text = torch.where(embedded[self.gated].available.unsqueeze(1), mixed, text)
        output: Tensor = self.dropout(text)
        return output


def projection(input_width: int, width: int) -> nn.Module:
    """A linear layer if the widths differ, otherwise the identity."""
    return nn.Identity() if input_width == width else nn.Linear(input_width, width)

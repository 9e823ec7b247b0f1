"""Several modalities of the text as one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..types import Embedded, TokenVectors
from .gate import Gate


class TextSum(nn.Module):
    """The sum of all modalities with a vector per token, each projected to one width.

        S = Dropout(X)                        X = sum of W_m x_m
        S = Dropout(g * X + (1 - g) * A)      with one modality, A, gated against the rest

    A modality of the right width already is taken as it is. Where one is unavailable it adds
    nothing, and where the gated one is, S is that of the rest.

    widths: the width of every modality.
    width: of the result.
    gated: the modality that is gated, one of `widths`; None for no gate.
    dropout: on the result.
    """

    def __init__(
        self, *, widths: Mapping[str, int], width: int, gated: str | None, dropout: float
    ) -> None:
        super().__init__()
        if gated is not None and gated not in widths:
            raise ValueError(
                f"model.fuse has a gate for the modality {gated!r}, which is not one of the text "
                f"({', '.join(map(repr, widths))}): set `augmentation` to one of these, or "
                "`augmentation_gate` to false"
            )
        self.names = tuple(widths)
        # A list, because a modality may bear a name that torch does not allow.
        self.project = nn.ModuleList(projection(w, width) for w in widths.values())
        self.gated = gated
        if gated is not None:
            self.gate = Gate(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Mapping[str, Embedded]) -> Tensor:
        """[n_tokens, width]; modalities that hold regions are passed over."""
        said = {}
        for name, project in zip(self.names, self.project, strict=True):
            modality = embedded[name]
            if isinstance(modality, TokenVectors):
                is_silent = ~modality.available.unsqueeze(1)
                said[name] = project(modality.vectors).masked_fill(is_silent, 0)
        text = torch.stack([part for name, part in said.items() if name != self.gated]).sum(dim=0)
        if self.gated is not None:
            mixed = self.gate(text, said[self.gated])
            text = torch.where(embedded[self.gated].available.unsqueeze(1), mixed, text)
        dropped: Tensor = self.dropout(text)
        return dropped


def projection(input_width: int, width: int) -> nn.Module:
    """To another width, where it is another."""
    return nn.Identity() if input_width == width else nn.Linear(input_width, width)

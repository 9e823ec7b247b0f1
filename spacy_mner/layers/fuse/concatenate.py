"""Concatenation: the modalities side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..types import Embedded, Fused
from .tokens import token_vectors


class Concatenate(nn.Module):
    """All modalities one after the other; a learned vector stands in for an absent one.

    widths: the width of every modality, in the order of the embed mapping.
    dropout: on the concatenated vector.
    """

    def __init__(self, *, widths: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        if not widths:
            raise ValueError("concatenation needs at least one modality in [model.embed]")
        self.names = tuple(widths)
        self.widths = list(widths.values())
        self.width = sum(self.widths)
        self.auxiliary_width = None
        # One parameter for all, because a modality may bear a name that torch does not allow.
        self.absent = nn.Parameter(torch.zeros(self.width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, embedded: Mapping[str, Embedded], lengths: Tensor, *, region_attention: bool = False
    ) -> Fused:
        modalities = token_vectors(embedded, self.names, lengths)
        parts = [
            torch.where(modality.available.unsqueeze(1), modality.vectors, absent)
            for modality, absent in zip(modalities, self.absent.split(self.widths), strict=True)
        ]
        return Fused(self.dropout(torch.cat(parts, dim=1)), None)

"""Concatenation of the modalities."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..ragged import token_vectors
from ..types import Embedded, Fused


class Concatenate(nn.Module):
    """Concatenates all modalities, with a learned vector for an absent one.

    widths: modality name to width, in the order of the embed mapping.
    dropout: on the concatenated vector.
    """

    def __init__(self, *, widths: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.widths = list(widths.values())
        self.width = sum(self.widths)
        self.auxiliary_width = None
        # One parameter for all modalities, because torch reserves some names.
        self.absent_vectors = nn.Parameter(torch.zeros(self.width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, embedded: Mapping[str, Embedded], lengths: Tensor, *, region_attention: bool = False
    ) -> Fused:
        modalities = token_vectors(embedded, self.names, lengths)
        absent_vectors = self.absent_vectors.split(self.widths)
        parts = [
            torch.where(modality.available.unsqueeze(1), modality.vectors, absent)
            for modality, absent in zip(modalities, absent_vectors, strict=True)
        ]
        return Fused(self.dropout(torch.cat(parts, dim=1)), None)

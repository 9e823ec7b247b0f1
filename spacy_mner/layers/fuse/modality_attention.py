"""Attention over modalities, per token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..ragged import token_vectors
from ..types import Embedded, Fused, TokenVectors


class ModalityAttention(nn.Module):
    """Weights the modalities at each token (Moon et al. 2018, eq. 4).

        a = sigmoid(W_m [x_1; ...; x_k] + b_m)    alpha = softmax(a)    x = sum_m alpha_m x_m

    A modality that is absent at a token is 0 inside W_m [...] and excluded from the softmax, which
    leaves the same equation for the other modalities (eq. 5). A token without any modality gets a
    zero vector and zero weights.

    widths: modality name to width, in the order of the embed mapping; all equal.
    dropout: on the output.
    bounded: apply the sigmoid, as published; it bounds the weights (see `attention_bounds`).
    combine: "sum" as published, or "concatenate": x = [n alpha_1 x_1; ...; n alpha_k x_k] for n
        available modalities, so that equal weights are plain concatenation.
    skip_unknown: treat a modality as absent at a token that is unknown to it (a word without
        vector) if the token is known to another modality; not in the publication.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        dropout: float,
        bounded: bool,
        combine: Literal["sum", "concatenate"],
        skip_unknown: bool,
    ) -> None:
        super().__init__()
        self.names = tuple(widths)
        width = _common_width(widths)
        self.combine = combine
        self.width = width if combine == "sum" else len(widths) * width
        self.auxiliary_width = None
        self.bounded = bounded
        self.skip_unknown = skip_unknown
        self.score = nn.Linear(len(widths) * width, len(widths))
        self.dropout = nn.Dropout(dropout)

    @property
    def attention_bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest weight of a modality where all are available.

        That of a softmax over scores of which one is 0 and the others are 1, and the reverse. None
        if the scores are not bounded, or for a single modality.
        """
        others = len(self.names) - 1
        if not self.bounded or not others:
            return None
        return 1 / (1 + others * math.e), math.e / (math.e + others)

    def forward(
        self, embedded: Mapping[str, Embedded], lengths: Tensor, *, region_attention: bool = False
    ) -> Fused:
        modalities = token_vectors(embedded, self.names, lengths)
        vectors = torch.stack([modality.vectors for modality in modalities], dim=1)
        available = torch.stack([modality.available for modality in modalities], dim=1)
        if self.skip_unknown:
            available = _known(modalities, available)
        vectors = vectors * available.unsqueeze(2)
        attention = self._attention(vectors, available)
        weights = attention.to(vectors.dtype)
        if self.combine == "sum":
            fused = torch.bmm(weights.unsqueeze(1), vectors).squeeze(1)
        else:
            scaled_weights = weights * available.sum(dim=1, keepdim=True)
            fused = (scaled_weights.unsqueeze(2) * vectors).flatten(1)
        return Fused(self.dropout(fused), attention)

    def _attention(self, vectors: Tensor, available: Tensor) -> Tensor:
        """[n_tokens, n_modalities], rows that sum to 1 wherever a modality is available."""
        scores = self.score(vectors.flatten(1))
        if self.bounded:
            scores = scores.sigmoid()
        # The lowest finite number, because a softmax over -inf only is NaN.
        scores = scores.masked_fill(~available, torch.finfo(scores.dtype).min)
        return scores.softmax(dim=1) * available


def _known(modalities: Sequence[TokenVectors], available: Tensor) -> Tensor:
    """`available` without modalities to which a token is unknown, if it is known to another one."""
    known = torch.stack([m.available if m.known is None else m.known for m in modalities], dim=1)
    known = known & available
    return torch.where(known.any(dim=1, keepdim=True), known, available)


def _common_width(widths: Mapping[str, int]) -> int:
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name} = {width}" for name, width in widths.items())
        raise ValueError(
            f"ModalityAttention needs modalities of one width, and model.embed has {listed}: set "
            "the same `width` for all, or use spacy_mner.Concatenate.v1."
        )
    return next(iter(widths.values()))

"""Modality attention: each token weighs the modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..types import Embedded, Fused, TokenVectors
from .tokens import token_vectors


class ModalityAttention(nn.Module):
    """The modalities, each weighed anew for every token.

        a = sigmoid(W_m [x_1; ...; x_k] + b_m)    alpha = softmax(a)    x = sum_m alpha_m x_m

    (Moon et al. 2018, eq. 4.) A modality that is absent at a token is zero inside W_m [...] and
    left out of the softmax, so that what remains is the same equation for one modality less
    (eq. 5). A token with no modality at all gets a zero vector and zero weights.

    widths: the width of every modality, in the order of the embed mapping; all must be equal.
    dropout: on the combined vector.
    bounded: with the printed sigmoid, which keeps every weight away from 0 and 1 (between 0.155
        and 0.576 for three modalities), or without it.
    combine: "sum" as printed, or "concatenate": x = [n alpha_1 x_1; ...; n alpha_k x_k] for the
        n modalities that are there, so that even weights are concatenation. Modalities need not
        share a space then, and a weight says how loud each one is.
    skip_unknown: take a modality for absent at a token that it does not know (a word without
        vector), so that the others need not speak against a vector that says nothing; printed is
        without. Where no modality knows the token, all that are there are taken.
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

    def forward(
        self, embedded: Mapping[str, Embedded], lengths: Tensor, *, region_attention: bool = False
    ) -> Fused:
        modalities = token_vectors(embedded, self.names, lengths)
        vectors = torch.stack([modality.vectors for modality in modalities], dim=1)
        available = torch.stack([modality.available for modality in modalities], dim=1)
        if self.skip_unknown:
            available = _known(modalities, available)
        vectors = vectors * available.unsqueeze(2)
        attention = self._weigh(vectors, available)
        weights = attention.to(vectors.dtype)
        if self.combine == "sum":
            fused = torch.bmm(weights.unsqueeze(1), vectors).squeeze(1)
        else:
            loudness = weights * available.sum(dim=1, keepdim=True)
            fused = (loudness.unsqueeze(2) * vectors).flatten(1)
        return Fused(self.dropout(fused), attention)

    def _weigh(self, vectors: Tensor, available: Tensor) -> Tensor:
        """[n_tokens, n_modalities], summing to 1 wherever anything is available."""
        scores = self.score(vectors.flatten(1))
        if self.bounded:
            scores = scores.sigmoid()
        # The lowest finite number: -inf would make NaN of a token with no modality at all.
        scores = scores.masked_fill(~available, torch.finfo(scores.dtype).min)
        return scores.softmax(dim=1) * available


def _known(modalities: Sequence[TokenVectors], available: Tensor) -> Tensor:
    """`available` without the modalities that do not know a token, where another one does."""
    known = torch.stack([m.available if m.known is None else m.known for m in modalities], dim=1)
    known = known & available
    return torch.where(known.any(dim=1, keepdim=True), known, available)


def _common_width(widths: Mapping[str, int]) -> int:
    if not widths:
        raise ValueError("modality attention needs at least one modality in [model.embed]")
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name} = {width}" for name, width in widths.items())
        raise ValueError(
            f"modality attention weighs vectors of one width, and the modalities have {listed}: "
            "give them all the same `width`, or fuse with spacy_mner.Concatenate.v1"
        )
    return next(iter(widths.values()))

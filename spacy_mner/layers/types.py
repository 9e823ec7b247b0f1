"""Inputs and outputs of the stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor


@dataclass(frozen=True)
class TokenVectors:
    """A modality with one vector per token.

    vectors: float [n_tokens, width], the tokens of all posts concatenated.
    available: bool [n_tokens], False where the modality is missing.
    known: bool [n_tokens], False for the vector that all unknown words share; None for a modality
        without unknown words.
    """

    vectors: Tensor
    available: Tensor
    known: Tensor | None = None


@dataclass(frozen=True)
class RegionVectors:
    """A modality with regions per post: cells of an image grid, objects, several images.

    regions: float [n_posts, n_regions, width].
    available: bool [n_posts, n_regions], False for padding and in a post without image.
    """

    regions: Tensor
    available: Tensor


Embedded: TypeAlias = TokenVectors | RegionVectors
Features: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Fused:
    """The output of a fuser.

    vectors: float [n_tokens, width].
    attention: weights of the modalities, float [n_tokens, n_modalities] in the order of the embed
        mapping; None if the fuser has no modality attention.
    region_attention: by modality, the weights of its regions, float [n_tokens, n_regions], 0 for
        regions that are not available; empty without cross-modal attention, or if not requested.
    auxiliary: float [n_tokens, auxiliary_width], input of the decoder's auxiliary head, in
        training; None if the fuser computes none.
    """

    vectors: Tensor
    attention: Tensor | None
    region_attention: Mapping[str, Tensor] = field(default_factory=dict)
    auxiliary: Tensor | None = None

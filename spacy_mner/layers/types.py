"""What the stages hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor


@dataclass(frozen=True)
class TokenVectors:
    """A modality with one vector per token.

    vectors: float [n_tokens, width], all posts one after the other.
    available: bool [n_tokens]; False where the modality has nothing to say about a token.
    known: bool [n_tokens]; False where a vector is a stand-in that all unknown words share. None
        for a modality that knows whatever is available.
    """

    vectors: Tensor
    available: Tensor
    known: Tensor | None = None


@dataclass(frozen=True)
class RegionVectors:
    """A modality with regions per post: a grid over the image, objects, several images.

    regions: float [n_posts, n_regions, width].
    available: bool [n_posts, n_regions]; a post without any image has none.
    """

    regions: Tensor
    available: Tensor


Embedded: TypeAlias = TokenVectors | RegionVectors
Features: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Fused:
    """What a fuser makes of all modalities.

    vectors: float [n_tokens, width].
    attention: float [n_tokens, n_modalities] in the order of the embed mapping, or None where the
        fuser weighs no modalities.
    region_attention: of each modality whose regions the tokens attend to, how much each token
        does to each region: float [n_tokens, n_regions], zero for regions that are not available.
        None where the fuser attends to none, or nobody wanted to see it.
    auxiliary: float [n_tokens, auxiliary_width], vectors for the auxiliary head of the decoder, in
        training; None where the fuser makes none.
    """

    vectors: Tensor
    attention: Tensor | None
    region_attention: Mapping[str, Tensor] | None = None
    auxiliary: Tensor | None = None

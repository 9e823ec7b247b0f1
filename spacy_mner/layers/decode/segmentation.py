"""A second task for the network: which tokens belong to an entity of any type.

Its loss is summed over the tokens of a post, as the log-likelihood is, so that its weight means the
same for posts of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from ..ragged import posts_of_tokens
from .bio import OUTSIDE, begin_tag, inside_tag
from .inference import negative_log_likelihood
from .potentials import Potentials


@dataclass(frozen=True)
class BinarySegmentation:
    """A head that says of every token by itself whether it belongs to an entity.

    (Aguilar et al. 2017)

    logits: [n_tokens], above 0 for a token of an entity.
    weight: of its loss, where the CRF's has 1.
    """

    logits: Tensor
    weight: float

    def tensors(self) -> list[Tensor]:
        return [self.logits]

    def with_tensors(self, tensors: Sequence[Tensor]) -> BinarySegmentation:
        (logits,) = tensors
        return replace(self, logits=logits)

    def losses(self, lengths: Tensor, allowed: Tensor) -> Tensor:
        """The weighted binary cross entropy of each post.

        A token counts where the annotation says whether it belongs to an entity, even if not to
        which type: where `O` alone is allowed, or all but `O` at most.
        """
        is_outside = allowed[:, OUTSIDE]
        is_known = is_outside != allowed[:, OUTSIDE + 1 :].any(dim=1)
        losses = functional.binary_cross_entropy_with_logits(
            self.logits,
            (~is_outside).to(self.logits, non_blocking=True),
            weight=is_known.to(self.logits, non_blocking=True),
            reduction="none",
        )
        posts = posts_of_tokens(lengths).to(self.logits.device)
        return self.weight * self.logits.new_zeros(len(lengths)).index_add(0, posts, losses)


@dataclass(frozen=True)
class BIOSegmentation:
    """A linear-chain CRF of its own, over `B`, `I` and `O` without types.

    (Liu et al. 2022)

    potentials: of its three tags, in the order of `bio_tags` for one label.
    weight: of its loss, where the CRF's has 1.
    """

    potentials: Potentials
    weight: float

    def tensors(self) -> list[Tensor]:
        return self.potentials.tensors()

    def with_tensors(self, tensors: Sequence[Tensor]) -> BIOSegmentation:
        return replace(self, potentials=self.potentials.with_tensors(tensors))

    def losses(self, lengths: Tensor, allowed: Tensor) -> Tensor:
        """The weighted negative log-likelihood of each post.

        What the annotation leaves open of the types is left open of `B`, `I` and `O`.
        """
        return self.weight * negative_log_likelihood(
            self.potentials, lengths, _without_types(allowed)
        )


def _without_types(allowed: Tensor) -> Tensor:
    """[n_tokens, n_tags] to [n_tokens, 3]: a prefix is allowed where one of its tags is."""
    begins, insides = allowed[:, begin_tag(0) :: 2], allowed[:, inside_tag(0) :: 2]
    return torch.stack([allowed[:, OUTSIDE], begins.any(dim=1), insides.any(dim=1)], dim=1)

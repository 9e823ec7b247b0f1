"""Outputs of the auxiliary head, which predicts the tokens that belong to an entity of any label.

Losses are summed over the tokens of a post, as the log-likelihood of the CRF is, so that their
weight does not depend on the length of a post.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional

from ..ragged import posts_of_tokens
from .bio import without_labels
from .inference import negative_log_likelihood
from .potentials import Potentials


@dataclass(frozen=True)
class BinarySegmentation:
    """One logit per token (Aguilar et al. 2017).

    logits: [n_tokens], above 0 for a token of an entity.
    weight: of the loss, relative to that of the CRF.
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

        A token contributes if its annotation determines whether it belongs to an entity: if only
        `O` is allowed, or any tags but `O`.
        """
        prefixes = without_labels(allowed)
        is_outside = prefixes[:, 0]
        is_known = is_outside != prefixes[:, 1:].any(dim=1)
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
    """A linear-chain CRF over `O`, `B` and `I` (Liu et al. 2022).

    potentials: of these three tags.
    weight: of the loss, relative to that of the CRF.
    """

    potentials: Potentials
    weight: float

    def tensors(self) -> list[Tensor]:
        return self.potentials.tensors()

    def with_tensors(self, tensors: Sequence[Tensor]) -> BIOSegmentation:
        return replace(self, potentials=self.potentials.with_tensors(tensors))

    def losses(self, lengths: Tensor, allowed: Tensor) -> Tensor:
        """The weighted negative log-likelihood of each post, given the allowed prefixes."""
        prefixes = without_labels(allowed)
        return self.weight * negative_log_likelihood(self.potentials, lengths, prefixes)

"""A second task for the encoder: which tokens belong to an entity of any type."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from ..ragged import posts_of_tokens
from .bio import OUTSIDE


@dataclass(frozen=True)
class Segmentation:
    """What a binary head says of every token, entity or not, to be trained beside the CRF.

    (Aguilar et al. 2017.) No path's score depends on it.

    logits: [n_tokens], above 0 for a token of an entity.
    weight: of its loss, where the CRF's has 1.
    """

    logits: Tensor
    weight: float


def segmentation_loss(segmentation: Segmentation, lengths: Tensor, allowed: Tensor) -> Tensor:
    """The weighted binary cross entropy of each post: [n_posts].

    lengths, allowed: as for `negative_log_likelihood`.

    It is summed over the tokens of a post, as the log-likelihood is, so that the weight means the
    same for posts of any length. A token counts where the annotation says whether it belongs to
    an entity, even if not to which type: where `O` alone is allowed, or all but `O` at most.
    """
    logits = segmentation.logits
    is_outside = allowed[:, OUTSIDE]
    is_known = is_outside != allowed[:, OUTSIDE + 1 :].any(dim=1)
    losses = functional.binary_cross_entropy_with_logits(
        logits,
        (~is_outside).to(logits, non_blocking=True),
        weight=is_known.to(logits, non_blocking=True),
        reduction="none",
    )
    posts = posts_of_tokens(lengths).to(logits.device)
    return segmentation.weight * logits.new_zeros(len(lengths)).index_add(0, posts, losses)

"""The scores that a CRF defines over the tags of a batch of posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

# Finite, because -inf - -inf is NaN; so low that no sum of real scores compensates it, in float32.
FORBIDDEN = -1e30


class Segmentation(Protocol):
    """The output of an auxiliary head for a batch, trained beside the CRF."""

    def tensors(self) -> list[Tensor]:
        """As of `Potentials`."""

    def with_tensors(self, tensors: Sequence[Tensor]) -> Segmentation:
        """As of `Potentials`."""

    def losses(self, lengths: Tensor, allowed: Tensor) -> Tensor:
        """The weighted loss of each post: [n_posts]; arguments of `negative_log_likelihood`."""


@dataclass(frozen=True)
class Potentials:
    """The scores that sum up to the score of a path of tags.

    emissions: [n_tokens, n_tags].
    transitions: [n_tags, n_tags], from row to column.
    start, end: [n_tags], for the tag of the first and of the last token of a post.
    segmentation: output of the auxiliary head, in training if there is one; not part of the scores.

    Scores that the BIO scheme excludes are FORBIDDEN.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    segmentation: Segmentation | None = None

    def constrained(self, allowed: Tensor) -> Potentials:
        """The same potentials with all other tags forbidden: inference is exact under `allowed`.

        allowed: bool [n_tokens, n_tags], on any device. Each post needs at least one path of
            allowed tags that the BIO scheme permits.
        """
        allowed = allowed.to(self.emissions.device, non_blocking=True)
        return replace(self, emissions=self.emissions.masked_fill(~allowed, FORBIDDEN))

    def tensors(self) -> list[Tensor]:
        """All tensors that a loss depends on, in a fixed order."""
        scores = [self.emissions, self.transitions, self.start, self.end]
        return scores if self.segmentation is None else [*scores, *self.segmentation.tensors()]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Potentials:
        """A copy with other tensors (detached, gradients) in place of `tensors()`."""
        emissions, transitions, start, end, *rest = tensors
        segmentation = self.segmentation and self.segmentation.with_tensors(rest)
        return Potentials(emissions, transitions, start, end, segmentation)

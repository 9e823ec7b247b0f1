"""What all inference works on: the scores of tags and transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

# Finite, because -inf - -inf is NaN; so low that no sum of real scores makes up for it, in float32.
FORBIDDEN = -1e30


class Segmentation(Protocol):
    """What an auxiliary head says of the tokens of a batch, to be trained beside the CRF."""

    def tensors(self) -> list[Tensor]:
        """All that its loss can depend on, in an order of its own."""

    def with_tensors(self, tensors: Sequence[Tensor]) -> Segmentation:
        """The same with others (copies, gradients) in the place of its `tensors()`."""

    def losses(self, lengths: Tensor, allowed: Tensor) -> Tensor:
        """The loss of each post, weighed as it is added to the CRF's: [n_posts].

        lengths, allowed: as for `negative_log_likelihood`.
        """


@dataclass(frozen=True)
class Potentials:
    """The scores that make up the score of a path of tags.

    emissions: [n_tokens, n_tags].
    transitions: [n_tags, n_tags], from row to column.
    start, end: [n_tags], for the tag of the first and of the last token of a post.

    What BIO rules out is FORBIDDEN already.

    segmentation: of the auxiliary head, in training where there is one; no part of the scores.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    segmentation: Segmentation | None = None

    def tensors(self) -> list[Tensor]:
        """All that a loss can depend on, in an order of its own."""
        scores = [self.emissions, self.transitions, self.start, self.end]
        return scores if self.segmentation is None else [*scores, *self.segmentation.tensors()]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Potentials:
        """The same with others (copies, gradients) in the place of its `tensors()`."""
        emissions, transitions, start, end, *rest = tensors
        segmentation = self.segmentation and self.segmentation.with_tensors(rest)
        return Potentials(emissions, transitions, start, end, segmentation)

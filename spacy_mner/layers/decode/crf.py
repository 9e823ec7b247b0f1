"""The linear-chain CRF: from encoded tokens to the potentials that all inference works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .bio import bio_tags, start_allowed, transition_allowed
from .segmentation import Segmentation

# Finite, because -inf - -inf is NaN; so low that no sum of real scores makes up for it, in float32.
FORBIDDEN = -1e30


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
        return scores if self.segmentation is None else [*scores, self.segmentation.logits]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Potentials:
        """The same with others (copies, gradients) in the place of its `tensors()`."""
        emissions, transitions, start, end, *logits = tensors
        segmentation = self.segmentation and replace(self.segmentation, logits=logits[0])
        return Potentials(emissions, transitions, start, end, segmentation)


class CRF(nn.Module):
    """Emissions from a linear layer, and learned transition, start and end scores.

    (Lafferty et al. 2001; as the output layer of a tagger, Lample et al. 2016)

    labels: entity labels without BIO prefixes, in the order of the tags (`bio_tags`).
    segmentation_weight: of the loss of an auxiliary head that learns from the same vectors which
        tokens belong to an entity (Aguilar et al. 2017); None for no such head.
    """

    start_allowed: Tensor
    transition_allowed: Tensor

    def __init__(
        self, *, input_width: int, labels: Sequence[str], segmentation_weight: float | None = None
    ) -> None:
        super().__init__()
        self.tags = bio_tags(labels)
        n_tags = len(self.tags)
        self.emit = nn.Linear(input_width, n_tags)
        self.transitions = nn.Parameter(torch.empty(n_tags, n_tags).uniform_(-0.1, 0.1))
        self.start = nn.Parameter(torch.empty(n_tags).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(n_tags).uniform_(-0.1, 0.1))
        self.register_buffer("start_allowed", start_allowed(len(labels)), persistent=False)
        self.register_buffer(
            "transition_allowed", transition_allowed(len(labels)), persistent=False
        )
        self.segmentation_weight = segmentation_weight
        if segmentation_weight is not None:
            self.segment = nn.Linear(input_width, 1)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Potentials:
        """vectors: [n_tokens, input_width]. The potentials have the precision of the parameters.

        Half precision is too coarse for sums over a whole post, so autocast is off in here.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.to(self.emit.weight.dtype)
            emissions = self.emit(vectors)
            segmentation = self._segment(vectors) if self.training else None
        return Potentials(
            emissions=emissions,
            transitions=self.transitions.masked_fill(~self.transition_allowed, FORBIDDEN),
            start=self.start.masked_fill(~self.start_allowed, FORBIDDEN),
            end=self.end,
            segmentation=segmentation,
        )

    def _segment(self, vectors: Tensor) -> Segmentation | None:
        if self.segmentation_weight is None:
            return None
        return Segmentation(self.segment(vectors).squeeze(1), self.segmentation_weight)

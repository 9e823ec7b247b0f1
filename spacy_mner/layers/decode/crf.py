"""The linear-chain CRF: from encoded tokens to the potentials that all inference works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .bio import bio_tags, start_allowed, transition_allowed

# Finite, because -inf - -inf is NaN; so low that no sum of real scores makes up for it, in float32.
FORBIDDEN = -1e30


@dataclass(frozen=True)
class Potentials:
    """The scores that make up the score of a path of tags.

    emissions: [n_tokens, n_tags].
    transitions: [n_tags, n_tags], from row to column.
    start, end: [n_tags], for the tag of the first and of the last token of a post.

    What BIO rules out is FORBIDDEN already.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor


class CRF(nn.Module):
    """Emissions from a linear layer, and learned transition, start and end scores.

    (Lafferty et al. 2001; as the output layer of a tagger, Lample et al. 2016)

    labels: entity labels without BIO prefixes, in the order of the tags (`bio_tags`).
    """

    start_allowed: Tensor
    transition_allowed: Tensor

    def __init__(self, *, input_width: int, labels: Sequence[str]) -> None:
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

    def forward(self, vectors: Tensor, lengths: Tensor) -> Potentials:
        """vectors: [n_tokens, input_width]. The potentials have the precision of the parameters.

        Half precision is too coarse for sums over a whole post, so autocast is off in here.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            emissions = self.emit(vectors.to(self.emit.weight.dtype))
        return Potentials(
            emissions=emissions,
            transitions=self.transitions.masked_fill(~self.transition_allowed, FORBIDDEN),
            start=self.start.masked_fill(~self.start_allowed, FORBIDDEN),
            end=self.end,
        )

"""The linear-chain CRF: from encoded tokens to the potentials that all inference works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from .bio import bio_tags, start_allowed, transition_allowed
from .potentials import FORBIDDEN, Potentials, Segmentation
from .segmentation import BinarySegmentation, BIOSegmentation


class CRF(nn.Module):
    """Emissions from a linear layer, and learned transition, start and end scores.

    (Lafferty et al. 2001; as the output layer of a tagger, Lample et al. 2016)

    input_width: of the encoded vectors.
    labels: entity labels without BIO prefixes, in the order of the tags (`bio_tags`).
    segmentation: an auxiliary head that learns which tokens belong to an entity of any type:
        "binary" for every token by itself (Aguilar et al. 2017), "bio" with a CRF of its own (Liu
        et al. 2022); None for no such head.
    segmentation_weight: of its loss.
    auxiliary_width: of the vectors that a fuser makes for this head; None where it makes none, and
        the head reads the encoded vectors.
    """

    start_allowed: Tensor
    transition_allowed: Tensor

    def __init__(
        self,
        *,
        input_width: int,
        labels: Sequence[str],
        segmentation: Literal["binary", "bio"] | None = None,
        segmentation_weight: float = 1.0,
        auxiliary_width: int | None = None,
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
        self.segmentation = segmentation
        self.segmentation_weight = segmentation_weight
        head_width = auxiliary_width or input_width
        if segmentation == "binary":
            self.segment: nn.Module = nn.Linear(head_width, 1)
        elif segmentation == "bio":
            self.segment = CRF(input_width=head_width, labels=["ENTITY"])

    def forward(
        self, vectors: Tensor, lengths: Tensor, auxiliary: Tensor | None = None
    ) -> Potentials:
        """The potentials have the precision of the parameters.

        vectors: [n_tokens, input_width].
        auxiliary: [n_tokens, auxiliary_width], in training where the fuser makes them.

        Half precision is too coarse for sums over a whole post, so autocast is off in here.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            emissions = self.emit(vectors.to(self.emit.weight.dtype))
            heard = vectors if auxiliary is None else auxiliary
            segmentation = self._segment(heard, lengths) if self.training else None
        return Potentials(
            emissions=emissions,
            transitions=self.transitions.masked_fill(~self.transition_allowed, FORBIDDEN),
            start=self.start.masked_fill(~self.start_allowed, FORBIDDEN),
            end=self.end,
            segmentation=segmentation,
        )

    def _segment(self, vectors: Tensor, lengths: Tensor) -> Segmentation | None:
        vectors = vectors.to(self.emit.weight.dtype)
        if self.segmentation == "binary":
            return BinarySegmentation(self.segment(vectors).squeeze(1), self.segmentation_weight)
        if self.segmentation == "bio":
            return BIOSegmentation(self.segment(vectors, lengths), self.segmentation_weight)
        return None

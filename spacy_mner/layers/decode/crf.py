"""The linear-chain CRF: computes the potentials of a batch from its encoded tokens."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .auxiliary_head import BinarySegmentation, BIOSegmentation
from .bio import OUTSIDE, n_tags, start_allowed, transition_allowed
from .potentials import FORBIDDEN, Potentials, Segmentation

# How much lower the emissions of a label's tags are than those of O when it is added.
NEW_LABEL_MARGIN = 10.0


class CRF(nn.Module):
    """Emissions from a linear layer, and learned transition, start and end scores.

    (Lafferty et al. 2001; as the output layer of a tagger, Lample et al. 2016)

    input_width: of the encoded vectors.
    n_labels: entity labels, without BIO prefixes.
    segmentation: auxiliary head that predicts which tokens belong to an entity of any label:
        "binary" per token (Aguilar et al. 2017), "bio" by a CRF of its own (Liu et al. 2022);
        None for no head.
    segmentation_weight: weight of its loss.
    auxiliary_width: width of the fuser's vectors for this head; None if the fuser computes none,
        and the input of the head are the encoded vectors.
    """

    start_allowed: Tensor
    transition_allowed: Tensor

    def __init__(
        self,
        *,
        input_width: int,
        n_labels: int,
        segmentation: Literal["binary", "bio"] | None = None,
        segmentation_weight: float = 1.0,
        auxiliary_width: int | None = None,
    ) -> None:
        super().__init__()
        self.n_labels = n_labels
        size = n_tags(n_labels)
        self.emission = nn.Linear(input_width, size)
        self.transitions = nn.Parameter(torch.empty(size, size).uniform_(-0.1, 0.1))
        self.start = nn.Parameter(torch.empty(size).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(size).uniform_(-0.1, 0.1))
        self.register_buffer("start_allowed", start_allowed(n_labels), persistent=False)
        self.register_buffer("transition_allowed", transition_allowed(n_labels), persistent=False)
        self.segmentation = segmentation
        self.segmentation_weight = segmentation_weight
        head_width = auxiliary_width or input_width
        if segmentation == "binary":
            self.segmentation_head: nn.Module = nn.Linear(head_width, 1)
        elif segmentation == "bio":
            self.segmentation_head = CRF(input_width=head_width, n_labels=1)

    def forward(
        self, vectors: Tensor, lengths: Tensor, auxiliary: Tensor | None = None
    ) -> Potentials:
        """Potentials in the precision of the parameters.

        vectors: [n_tokens, input_width]. auxiliary: [n_tokens, auxiliary_width] or None.

        Half precision is not precise enough for sums over a whole post, hence no autocast.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            emissions = self.emission(vectors.to(self.emission.weight.dtype))
            head_input = vectors if auxiliary is None else auxiliary
            segmentation = self._segment(head_input, lengths) if self.training else None
        return Potentials(
            emissions=emissions,
            transitions=self.transitions.masked_fill(~self.transition_allowed, FORBIDDEN),
            start=self.start.masked_fill(~self.start_allowed, FORBIDDEN),
            end=self.end,
            segmentation=segmentation,
        )

    def add_labels(self, n: int) -> None:
        """Append n labels; the parameters of known labels do not change.

        New tags get the parameters of O, and emissions lower by NEW_LABEL_MARGIN. Each path with
        new tags therefore scores lower than the same path with O in their place: the best path
        does not change, and probabilities change by less than 2 n e^-10 per token.
        """
        device = self.emission.weight.device
        self.n_labels += n
        known, size = self.emission.out_features, n_tags(self.n_labels)
        source = torch.full((size,), OUTSIDE, device=device)
        source[:known] = torch.arange(known, device=device)
        self.emission.out_features = size
        self.emission.weight = nn.Parameter(self.emission.weight.detach()[source])
        self.emission.bias = nn.Parameter(self.emission.bias.detach()[source])
        self.emission.bias.data[known:] -= NEW_LABEL_MARGIN
        self.transitions = nn.Parameter(self.transitions.detach()[source][:, source])
        self.start = nn.Parameter(self.start.detach()[source])
        self.end = nn.Parameter(self.end.detach()[source])
        self.start_allowed = start_allowed(self.n_labels).to(device)
        self.transition_allowed = transition_allowed(self.n_labels).to(device)

    def _segment(self, vectors: Tensor, lengths: Tensor) -> Segmentation | None:
        if self.segmentation is None:
            return None
        vectors = vectors.to(self.emission.weight.dtype)
        if self.segmentation == "binary":
            logits = self.segmentation_head(vectors).squeeze(1)
            return BinarySegmentation(logits, self.segmentation_weight)
        potentials = self.segmentation_head(vectors, lengths)
        return BIOSegmentation(potentials, self.segmentation_weight)

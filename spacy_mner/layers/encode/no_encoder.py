"""No encoder."""

from __future__ import annotations

from torch import Tensor, nn


class NoEncoder(nn.Module):
    """The identity, for modalities that are contextual already.

    input_width: of the fused vectors, and of the output.
    """

    def __init__(self, *, input_width: int) -> None:
        super().__init__()
        self.width = input_width

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        return vectors

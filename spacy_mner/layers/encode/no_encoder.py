"""No context."""

from __future__ import annotations

from torch import Tensor, nn


class NoEncoder(nn.Module):
    """The fused vectors as they are, for modalities that carry context already.

    input_width: of the fused vectors, and of the result.
    """

    def __init__(self, *, input_width: int) -> None:
        super().__init__()
        self.width = input_width

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """[n_tokens, input_width], unchanged."""
        return vectors

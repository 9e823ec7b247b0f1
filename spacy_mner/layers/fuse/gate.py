"""A learned gate between two vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gate(nn.Module):
    """Mixes two vectors elementwise.

        output = g * first + (1 - g) * second    g = sigmoid(W [first; second] + b)

    width: of both inputs and of the output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two tensors [..., width] to one of the same shape."""
        gate = self.linear(torch.cat([first, second], dim=-1)).sigmoid().to(first.dtype)
        return gate * first + (1 - gate) * second

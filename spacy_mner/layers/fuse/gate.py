"""A learned mixture of two views of the same thing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gate(nn.Module):
    """Decides for every component which of two vectors it comes from.

        result = g * first + (1 - g) * second    g = sigmoid(W [first; second] + b)

    width: of both and of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(2 * width, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two tensors [..., width] to one of the same shape."""
        gate = self.weigh(torch.cat([first, second], dim=-1)).sigmoid().to(first.dtype)
        return gate * first + (1 - gate) * second

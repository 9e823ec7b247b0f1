"""The gradients of a Thinc model: those of its own parameters and of torch networks in it.

A listener has none: they are in the upstream component.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from thinc.api import Model
from torch import nn


def scale_gradients(model: Model, factor: float) -> None:
    """Multiply the gradients, in place."""
    for gradient in _gradients(model):
        gradient *= factor


def drop_gradients(model: Model) -> None:
    """Set the gradients to 0, finite or not."""
    for gradient in _gradients(model):
        gradient[...] = 0


def _gradients(model: Model) -> Iterator[Any]:
    """The gradients as arrays of Thinc and as tensors of torch."""
    for node in model.walk():
        for name in node.grad_names:
            yield node.get_grad(name)
        for shim in node.shims:
            if isinstance(shim._model, nn.Module):
                yield from (p.grad for p in shim._model.parameters() if p.grad is not None)

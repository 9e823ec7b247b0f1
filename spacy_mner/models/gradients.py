"""The gradients of all that lies in a Thinc model: its own parameters and networks of torch.

A listener has none: what it sent back lies in the component that it listens to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from thinc.api import Model
from torch import nn


def scale_gradients(model: Model, factor: float) -> None:
    """Multiply the gradients, in place."""
    for gradient in _of_thinc(model):
        gradient *= factor
    for network in _networks(model):
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


def drop_gradients(model: Model) -> None:
    """Forget the gradients, finite or not."""
    for gradient in _of_thinc(model):
        gradient.fill(0.0)
    for network in _networks(model):
        network.zero_grad()


def _of_thinc(model: Model) -> Iterator[Any]:
    for node in model.walk():
        for name in node.grad_names:
            yield node.get_grad(name)


def _networks(model: Model) -> Iterator[nn.Module]:
    for node in model.walk():
        for shim in node.shims:
            if isinstance(shim._model, nn.Module):
                yield shim._model

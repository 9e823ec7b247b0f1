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
    for gradient in _thinc_gradients(model):
        gradient *= factor
    for network in _torch_networks(model):
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


def drop_gradients(model: Model) -> None:
    """Discard the gradients, finite or not."""
    for gradient in _thinc_gradients(model):
        gradient.fill(0.0)
    for network in _torch_networks(model):
        network.zero_grad()


def _thinc_gradients(model: Model) -> Iterator[Any]:
    for node in model.walk():
        for name in node.grad_names:
            yield node.get_grad(name)


def _torch_networks(model: Model) -> Iterator[nn.Module]:
    for node in model.walk():
        for shim in node.shims:
            if isinstance(shim._model, nn.Module):
                yield shim._model

"""FrozenNetwork, the base class of image encoders, object detectors and captioners."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import nn

from ..utils.fork_safe_lock import ForkSafeLock
from .image_model import ImageModel, Result


class FrozenNetwork(ImageModel[Result]):
    """A network of torch that is applied to images and never trained.

    It is loaded at first use, in eval mode and without gradients, and left out of a pickle. It
    computes on the device that the caller passes: that of the component's network. Thread-safe.

    device_batch: images per batch on an accelerator, where larger batches are hardly faster.
    """

    device_batch = 1

    def __init__(self) -> None:
        self._network: nn.Module | None = None
        self._lock = ForkSafeLock()

    @abstractmethod
    def load(self) -> nn.Module:
        """Build the network with its weights, on the CPU."""

    def batch_size(self, device: torch.device | None) -> int:
        # One image per batch on the CPU, so that its result does not depend on other images.
        return 1 if device is None or device.type == "cpu" else self.device_batch

    def network_on(self, device: torch.device | None) -> tuple[nn.Module, torch.device]:
        """Return the network, on `device` (None: where it is), and its device."""
        with self._lock:
            if self._network is None:
                self._network = self.load().eval().requires_grad_(False)
            # Of a parameter, or of the buffer of an ONNX graph.
            current = next(iter(self._network.state_dict().values())).device
            if device is not None and device != current:
                self._network.to(device)
                current = device
            return self._network, current

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_network", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _network=None, _lock=ForkSafeLock())

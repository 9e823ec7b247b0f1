"""FrozenNetwork, the base class of image encoders and object detectors."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from ..errors import ImageError

Result = TypeVar("Result")


class FrozenNetwork(ABC, Generic[Result]):
    """A pretrained network that is applied to images and never trained.

    It is loaded at first use, in eval mode and without gradients, and left out of a pickle. It
    computes on the device that the caller passes: that of the component's network. Thread-safe.
    """

    def __init__(self) -> None:
        self._network: nn.Module | None = None
        self._lock = threading.Lock()

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies network, weights and preprocessing; usable as a folder name."""

    def check_installed(self) -> None:
        """Raise ImportError if a package that `load` needs is missing. Imports nothing."""

    @abstractmethod
    def load(self) -> nn.Module:
        """Build the network with its weights, on the CPU."""

    def batch_size(self, device: torch.device | None) -> int:
        """Return the number of images to pass to `compute` at once on a device."""
        return 1

    @abstractmethod
    def compute(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[Result | ImageError]:
        """Apply the network to images, each uint8 [h, w, 3].

        device: where to compute; None for where the network is (at first the CPU).
        is_train: for a training step of the component, in which only torch computes.
        Returns ImageError for an image with outputs that are not finite.
        """

    @abstractmethod
    def nbytes(self, result: Result) -> int:
        """Return the memory that a result takes, in bytes."""

    @abstractmethod
    def to_bytes(self, result: Result) -> bytes:
        """Serialize a result for the cache on disk."""

    @abstractmethod
    def from_bytes(self, data: bytes) -> Result:
        """Deserialize a result. Raises ValueError for data that `to_bytes` did not write."""

    def network_on(self, device: torch.device | None) -> tuple[nn.Module, torch.device]:
        """Return the network, on `device` (None: where it is), and its device."""
        with self._lock:
            if self._network is None:
                self._network = self.load().eval().requires_grad_(False)
            current = next(self._network.parameters()).device
            if device is not None and device != current:
                self._network.to(device)
                current = device
            return self._network, current

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_network", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _network=None, _lock=threading.Lock())

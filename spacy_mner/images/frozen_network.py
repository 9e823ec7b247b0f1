"""What every network that looks at images is: loaded when it is needed, and never trained."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from thinc.util import get_torch_default_device
from torch import nn


class FrozenNetwork(ABC):
    """A frozen network that says something of every image, in arrays of one shape.

    The network is loaded when an image first needs it, onto Thinc's torch device, and never
    trained: evaluation mode, no gradients. It is left out of a pickle and loaded again. Safe to use
    from several threads.
    """

    def __init__(self) -> None:
        self._network: nn.Module | None = None
        # Held while the network is loaded.
        self._lock = threading.Lock()

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width of what is said of one region; known without the weights."""

    @property
    @abstractmethod
    def n_regions(self) -> int:
        """Regions of one image; known without the weights."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Name of network, weights and preprocessing together; fit for a folder name."""

    @property
    def batch_size(self) -> int:
        """Images that are worth encoding together."""
        return 1

    def check_installed(self) -> None:
        """Raise ImportError where a package is absent that `load` needs. Imports nothing."""
        return None

    @abstractmethod
    def load(self) -> nn.Module:
        """Build the network on the CPU, with its weights."""

    @abstractmethod
    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Describe images, each uint8 [h, w, 3]: float32 [n, n_regions, dim]."""

    def _loaded(self) -> tuple[nn.Module, torch.device]:
        if self._network is None:
            network = self.load().eval().requires_grad_(False)
            self._network = network.to(get_torch_default_device())
        return self._network, next(self._network.parameters()).device

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_network", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _network=None, _lock=threading.Lock())

"""ImageModel, the base class of everything that computes a result from an image."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from ..errors import ImageError

Result = TypeVar("Result")


class ImageModel(ABC, Generic[Result]):
    """A pretrained model that is applied to images and never trained. Thread-safe."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies everything that determines results; usable as a folder name."""

    def check_installed(self) -> None:
        """Raise ImportError or UsageError if a package is missing. Imports nothing."""

    def check_trainable(self, *, is_trained: bool) -> None:
        """Raise UsageError if a component with this model is for prediction alone.

        is_trained: whether the component has been trained, with another runtime then; its config
            is otherwise one from scratch.
        """

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
        """Return the result for each image, uint8 [h, w, 3].

        device: where to compute; None for where the model is (at first the CPU).
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

    def save_files(self, folder: Path) -> None:
        """Write what the model needs besides its arguments and installed packages: its weights."""

    def load_files(self, folder: Path) -> None:
        """Load what `save_files` wrote. Raises ValueError for anything else."""


def make_fingerprint(name: str, **facts: Any) -> str:
    """Return `name-<16 hexadecimal digits>`, the hash of everything that determines results."""
    text = json.dumps(facts, sort_keys=True, default=asdict)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check_threshold(threshold: float) -> float:
    """Return a threshold on scores. Raises ValueError unless it is from 0 to 1."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold must be between 0 and 1, got {threshold}")
    return threshold

"""Conversion of NumPy and Thinc arrays to torch tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from thinc.api import xp2torch
from thinc.backends import get_array_ops

# Sequence lengths control the flow of a network, and stay on the host.
ON_HOST = "lengths"


def features_to_torch(
    features: Mapping[str, np.ndarray], device: torch.device
) -> dict[str, torch.Tensor]:
    """The arrays of one modality as tensors on the device of the network (lengths on the host)."""
    return {
        name: torch.from_numpy(array) if name == ON_HOST else torch.from_numpy(array).to(device)
        for name, array in features.items()
    }


def token_vectors_to_torch(
    arrays: list[Any], width: int, device: torch.device, requires_grad: bool
) -> torch.Tensor:
    """Token vectors from Thinc, one array [n_tokens, width] per post, as one flat tensor."""
    # A shared transformer returns an array of width 0 for a post without tokens.
    filled = [array for array in arrays if len(array)]
    if not filled:
        return torch.zeros((0, width), device=device, requires_grad=requires_grad)
    xp = get_array_ops(filled[0]).xp
    flat = xp.ascontiguousarray(xp.concatenate(filled), dtype="float32")
    return xp2torch(flat, requires_grad=requires_grad, device=device)

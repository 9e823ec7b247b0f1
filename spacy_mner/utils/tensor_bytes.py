"""Named tensors as the bytes of a safetensors file, with JSON in its header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor


def write_tensors(tensors: Mapping[str, Tensor], key: str, value: Any) -> bytes:
    """Serialize tensors, and `value` as JSON under `key` in the header."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={key: json.dumps(value)})


def read_tensors(data: bytes, key: str) -> tuple[dict[str, Tensor], Any]:
    """Deserialize tensors, and the value under `key` in the header."""
    # Eight bytes hold the length of the header, which is JSON.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return load(data), json.loads(header["__metadata__"][key])


def to_precision(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert float32 into another type, unless that overflows; other types stay as they are."""
    if tensor.dtype != torch.float32:
        return tensor
    converted = tensor.to(dtype)
    return converted if converted.isfinite().all() or not tensor.isfinite().all() else tensor


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()

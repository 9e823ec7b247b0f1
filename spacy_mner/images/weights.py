"""Weights for torchvision's classifiers: out of a file, or drawn at random."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

SUFFIXES = (".pth", ".pt", ".safetensors")

# Heads that are only there for training (GoogLeNet, Inception v3).
AUXILIARY = re.compile(r"(aux\d|AuxLogits)\.")

# torchvision's DenseNet files name "norm.1" what its code calls "norm1".
DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def is_file(weights: str) -> bool:
    """Whether `weights` is meant as a file, rather than as the name of torchvision's weights."""
    return weights.lower().endswith(SUFFIXES)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of weights, in hexadecimal. Raises FileNotFoundError, naming the file."""
    digest = hashlib.sha256()
    with _existing(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from .safetensors, or from .pth or .pt without running what is pickled.

    Raises FileNotFoundError, or ValueError where the file holds anything but tensors by name.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(_existing(path))
        state = torch.load(_existing(path), map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(_refusal(path)) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(_refusal(path))
    return dict(state)


def clean_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring a state dict that torchvision published to the names of its present code."""
    return {
        DENSENET.sub(r"\1\2", name): tensor
        for name, tensor in state.items()
        if not AUXILIARY.match(name)
    }


def draw(build: Callable[[], nn.Module], size: int, seed: int) -> nn.Module:
    """Build a network on the CPU with random weights from `seed`, of a usable scale.

    Untrained normalisation layers leave activations as they are, so that those of a deep network
    come out anywhere between 1e-14 and 1e7. Their statistics are therefore taken from a batch of
    random pictures, size by size pixels.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed: that seeds accelerators too, whose state is not kept here.
        torch.random.default_generator.manual_seed(seed)
        network = build().eval()
        coarse = torch.randn(4, 3, 8, 8)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        network(F.interpolate(coarse, size=(size, size), mode="bilinear"))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum
    return network


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"No file with weights at {path}")
    return path


def _refusal(path: Path) -> str:
    return (
        f"{path} is no state dict: write one with torch.save(model.state_dict(), …) "
        "or safetensors.torch.save_file"
    )

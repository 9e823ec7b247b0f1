"""Weights for torchvision's networks: its own, out of a file, or drawn at random."""

from __future__ import annotations

import difflib
import hashlib
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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


@dataclass(frozen=True)
class Choice:
    """A network of torchvision and the weights that it is to have.

    model: torchvision's name of it.
    weights: torchvision's name of weights, a file, or None for random ones from `seed`.

    Raises ValueError for a model or weights that do not exist.
    """

    kind: Literal["classifier", "detector"]
    model: str
    weights: str | None
    seed: int

    @property
    def entry(self) -> Any:
        """The entry in torchvision's table that says how the model wants its images."""
        import torchvision

        module = torchvision.models
        if self.kind == "detector":
            module = module.detection
        models = torchvision.models.list_models(module=module)
        if self.model not in models:
            near = difflib.get_close_matches(self.model, models) or models
            raise ValueError(
                f"torchvision has no {self.kind} {self.model!r}; it has {', '.join(near)}"
            )
        table = torchvision.models.get_model_weights(self.model)
        if self.weights is None or is_file(self.weights):
            return table["DEFAULT"]
        if self.weights not in table.__members__:
            raise ValueError(
                f"torchvision has no weights {self.weights!r} for {self.model}; "
                f"it has {', '.join(table.__members__)}. A file ends in .pth, .pt or .safetensors"
            )
        return table[self.weights]

    @property
    def identity(self) -> str:
        """What tells these weights from others, known without loading them."""
        import torchvision

        if self.weights is None:
            return f"random {self.seed}, torchvision {torchvision.__version__}"
        if is_file(self.weights):
            return file_sha256(Path(self.weights))
        return str(self.entry.url)

    def state(self) -> dict[str, Tensor]:
        """The state dict, downloaded where torchvision does not have it yet.

        Raises OSError or ValueError where it cannot be downloaded or read.
        """
        assert self.weights is not None, "random weights have no state"
        if is_file(self.weights):
            return read_state(Path(self.weights))
        entry = self.entry
        try:
            found = entry.get_state_dict(progress=False, check_hash=True, map_location="cpu")
        except OSError as error:
            raise OSError(
                f"cannot download weights {self.weights!r} of {self.model} from {entry.url} "
                f"({error}): fetch the file yourself and name its path as the weights"
            ) from error
        return dict(found)

    def fill(self, network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
        """Give a network its weights. Raises ValueError where they do not fit."""
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"weights {self.weights} do not fit {self.model}: {error}") from error
        return network


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

    Untrained normalization layers leave activations as they are, so that those of a deep network
    come out anywhere between 1e-14 and 1e7. Their statistics are therefore taken from a batch of
    random images, size by size pixels.
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

"""TorchvisionModel: a model of torchvision with torchvision's weights, a file's, or random ones."""

from __future__ import annotations

import difflib
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor, nn

SUFFIXES = (".pth", ".pt", ".safetensors")

# Auxiliary heads of GoogLeNet and Inception v3, used in training only.
AUXILIARY = re.compile(r"(aux\d|AuxLogits)\.")

# torchvision's DenseNet files contain "norm.1" where its code has "norm1".
DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


@dataclass(frozen=True)
class TorchvisionModel:
    """The choice of a torchvision model and its weights; see the image encoder `Torchvision`."""

    kind: Literal["classifier", "detector"]
    name: str
    weights: str | None
    seed: int

    @property
    def file(self) -> Path | None:
        """The file with the weights, if `weights` names a file."""
        path = Path(self.weights or "")
        return path if path.suffix.lower() in SUFFIXES else None

    @property
    def entry(self) -> Any:
        """torchvision's weights entry, which has the preprocessing and the class names.

        Raises ValueError if the model or the weights do not exist.
        """
        from torchvision import models

        names = models.list_models(models.detection if self.kind == "detector" else models)
        if self.name not in names:
            near = ", ".join(difflib.get_close_matches(self.name, names) or names)
            raise ValueError(f"torchvision has no {self.kind} {self.name!r}; it has {near}")
        entries = models.get_model_weights(self.name).__members__
        key = "DEFAULT" if self.weights is None or self.file else self.weights
        if key not in entries:
            raise ValueError(
                f"torchvision has no weights {self.weights!r} for {self.name}; it has "
                f"{', '.join(entries)}. A file name must end in .pth, .pt or .safetensors"
            )
        return entries[key]

    @property
    def identity(self) -> str:
        """Identifies the weights without loading them, for fingerprints."""
        import torchvision

        if self.weights is None:
            return f"random {self.seed}, torchvision {torchvision.__version__}"
        if self.file is None:
            return str(self.entry.url)
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def state(self) -> dict[str, Tensor] | None:
        """Return the state dict in the file, None if `weights` names none.

        Does not execute pickled code.

        Raises OSError, or ValueError for a file without a state dict.
        """
        if self.file is None:
            return None
        content = self.file.read_bytes()
        try:
            if self.file.suffix.lower() == ".safetensors":
                state = load(content)
            else:
                state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            return {DENSENET.sub(r"\1\2", k): v for k, v in state.items() if not AUXILIARY.match(k)}
        # The parsers raise many types of errors; a list of tensors has no items().
        except Exception as error:
            raise ValueError(
                f"{self.file} is not a state dict: write it with torch.save(model.state_dict(), …) "
                "or safetensors.torch.save_file"
            ) from error

    def build(self, state: dict[str, Tensor] | None, size: int, **options: Any) -> nn.Module:
        """Build the model with its weights, on the CPU.

        state: of `state()`. size: height and width of images to calibrate random weights with.
        options: for the model's builder, unless the weights are torchvision's own.
        Raises OSError or ValueError if the weights cannot be downloaded, read or do not fit.
        """
        from torchvision.models import get_model

        entry = None if self.weights is None or self.file else self.entry
        if entry is not None:
            options = {"progress": False}
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            # Not torch.manual_seed, which also seeds accelerators.
            torch.random.default_generator.manual_seed(self.seed)
            try:
                network = get_model(self.name, weights=entry, **options).eval()
                if state is not None:
                    network.load_state_dict(state)
            except (OSError, RuntimeError) as error:
                source = self.weights if entry is None else entry.url
                kind = OSError if isinstance(error, OSError) else ValueError
                raise kind(
                    f"cannot load the weights {source} of {self.name}: {error}. Set weights to a "
                    "file with a state dict of this model"
                ) from error
            if self.weights is None:
                _calibrate(network, size)
        return network


def _calibrate(network: nn.Module, size: int) -> None:
    """Set the statistics of batch normalization layers from a batch of random images.

    Without it, the features of a deep network with random weights can be anywhere between 1e-14
    and 1e7.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0
    coarse = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        network(F.interpolate(coarse, size=(size, size), mode="bilinear"))
    network.eval()

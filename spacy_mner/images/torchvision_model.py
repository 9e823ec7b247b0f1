"""TorchvisionModel: a classifier with torchvision's weights, those of a file, or random ones."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

SUFFIXES = (".pth", ".pt", ".safetensors")

# Auxiliary heads of GoogLeNet and Inception v3, used in training only.
AUXILIARY = re.compile(r"(aux\d|AuxLogits)\.")

# torchvision's DenseNet files contain "norm.1" where its code has "norm1".
DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


@dataclass(frozen=True)
class TorchvisionModel:
    """The choice of a torchvision model and its weights; see the image encoder `Torchvision`."""

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

        known = models.list_models(models)
        if self.name in known:
            known = models.get_model_weights(self.name).__members__
            key = "DEFAULT" if self.weights is None or self.file else self.weights
            if key in known:
                return known[key]
        raise ValueError(
            f"torchvision has no classifier {self.name!r} with weights {self.weights!r}; it has "
            f"{', '.join(known)}. A file name must end in {', '.join(SUFFIXES)}"
        )

    @property
    def identity(self) -> str:
        """Identifies the weights without loading them, for fingerprints."""
        import torchvision

        if self.weights is None:
            return f"initialization {self.seed}, torchvision {torchvision.__version__}"
        if self.file is None:
            return str(self.entry.url)
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def state(self) -> dict[str, Tensor] | None:
        """Return the state dict that torchvision published or that is in the file.

        Returns None for random weights. Does not execute pickled code of a file.

        Raises OSError, or ValueError for a file without a state dict.
        """
        if self.weights is None:
            return None
        source = self.file or self.entry.url
        try:
            if self.file is None:
                state = self.entry.get_state_dict(progress=False, check_hash=True)
            elif self.file.suffix.lower() == ".safetensors":
                state = load_file(self.file)
            else:
                state = torch.load(self.file, map_location="cpu", weights_only=True)
            # In place: a copy would lose the version numbers of its modules.
            for name in list(state):
                tensor = state.pop(name)
                if not AUXILIARY.match(name):
                    state[DENSENET.sub(r"\1\2", name)] = tensor
            return state
        except OSError as error:
            raise OSError(
                f"cannot load the weights {source} of {self.name}: {error}. Set weights to a file "
                "with a state dict of this model"
            ) from error
        # The parsers raise many types of errors; a list of tensors has no names.
        except Exception as error:
            raise ValueError(
                f"{source} is not a state dict: write it with torch.save(model.state_dict(), …) "
                "or safetensors.torch.save_file"
            ) from error

    def build(self, state: dict[str, Tensor] | None, **options: Any) -> nn.Module:
        """Build the model on the CPU, with the weights in `state`, or random ones for None.

        options: of the model's builder. Raises ValueError for weights that do not fit.
        """
        from torchvision.models import get_model

        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            # Not torch.manual_seed, which also seeds accelerators.
            torch.random.default_generator.manual_seed(self.seed)
            network = get_model(self.name, weights=None, **options).eval()
        if state is not None:
            try:
                network.load_state_dict(state)
            # MNASNet raises ValueError for a file without version numbers.
            except (RuntimeError, ValueError) as error:
                raise ValueError(
                    f"the weights {self.weights} do not fit {self.name}: {error}"
                ) from error
        return network

"""HuggingFaceNetwork, the base class of networks of Hugging Face that are applied to images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from ..utils.hub_model import HubModel, check_transformers
from ..utils.tensor_bytes import hash_tensors
from .frozen_network import FrozenNetwork
from .image_model import Result, make_fingerprint

# Entries of configs that say where a model comes from, and types: it computes in float32.
PROVENANCE = {
    "_name_or_path",
    "_from_model_config",
    "architectures",
    "dtype",
    "torch_dtype",
    "transformers_version",
}


class HuggingFaceNetwork(FrozenNetwork[Result]):
    """A model of Hugging Face with its preprocessing; needs the extra `transformers`.

    Saved, it is the files of Hugging Face. A pickle contains the weights once they are loaded: they
    may be those of a saved pipeline, which does not need the model that it was made with.

    name: of a model on the hub, or a folder.
    revision: branch, tag or commit on the hub; None for the default branch.

    Raises UsageError without the package, and at first use ValueError for a model that cannot be
    loaded.
    """

    role: ClassVar[str]  # for messages
    # By class of transformers, the file that it loads: the image processor, perhaps a
    # tokenizer, and the network.
    files: ClassVar[dict[str, str]]

    def __init__(self, name: str, revision: str | None) -> None:
        super().__init__()
        files = {"AutoConfig": "config.json", **self.files}
        self.model = HubModel(name, revision, self.role, files)
        self.processors: list[Any] = []
        self._model_hash: str | None = None  # computed at first use: it takes a while

    @property
    def fingerprint(self) -> str:
        network, _ = self.network_on(None)
        if self._model_hash is None:
            self._model_hash = make_fingerprint("model", **self.describe(network))
        name = self.role.replace(" ", "-")
        return make_fingerprint(name, model=self._model_hash, settings=self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that determine results, besides the model."""
        return {}

    def describe(self, network: Any) -> dict[str, Any]:
        """Return what determines results in the files of the model."""
        return {
            "weights": hash_tensors(network.state_dict()),
            "config": without_provenance(network.config.to_diff_dict()),
            "preprocessing": self.processors[0].to_json_string(),
        }

    def check_installed(self) -> None:
        check_transformers()

    def load(self) -> nn.Module:
        return self._load(self.model)

    def _load(self, model: HubModel) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            *self.processors, network = map(model.load, self.files)
        self._model_hash = None
        return network.float()

    def save_files(self, folder: Path) -> None:
        network: Any = self.network_on(None)[0]
        for part in (network, *self.processors):
            part.save_pretrained(folder)

    def load_files(self, folder: Path) -> None:
        saved = replace(self.model, name=str(folder), revision=None)
        with self._lock:
            self._network = self._load(saved).eval().requires_grad_(False)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        network = state["_network"]
        super().__setstate__(state)
        self._network = network


def without_provenance(config: Any) -> Any:
    """Return a config of the library, perhaps nested, without what affects no result."""
    if not isinstance(config, dict):
        return config
    return {k: without_provenance(v) for k, v in config.items() if k not in PROVENANCE}

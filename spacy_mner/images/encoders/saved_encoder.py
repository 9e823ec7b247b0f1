"""SavedEncoder, the base class of image encoders whose weights are saved with a pipeline."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...utils.tensor_bytes import read_tensors, to_precision, write_tensors
from .image_encoder import ImageEncoder, Preprocessing, Regions

# Of the description in the header of the saved file; part of the saved format.
METADATA_KEY = "encoder"

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Description:
    """What determines the results of an encoder besides its arguments and its weights.

    architecture: what the network is built from, in the types of JSON.
    weights: identifies the weights of the source.
    n_regions, dim: shape of the features of an image.
    """

    architecture: dict[str, Any]
    weights: str
    preprocessing: Preprocessing
    n_regions: int
    dim: int

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Description:
        preprocessing = Preprocessing.from_json(value["preprocessing"])
        return cls(**{**value, "preprocessing": preprocessing})


class SavedEncoder(ImageEncoder):
    """An encoder with weights from a source outside of its package: a file or a download.

    The source is read at first use in training. A saved pipeline holds the weights and the
    description, and its encoder never reads the source. So does a pickle, once they are loaded.
    """

    def __init__(self, *, regions: Regions = "global") -> None:
        super().__init__(regions=regions)
        self._description: Description | None = None
        # Those of a saved pipeline, until the network is built with them.
        self._weights: Weights | None = None

    @abstractmethod
    def describe(self) -> Description:
        """Read the description from the source."""

    @abstractmethod
    def load_source(self) -> nn.Module:
        """Build the network on the CPU, with the weights of the source."""

    @abstractmethod
    def build(self, weights: Weights) -> nn.Module:
        """Build the network on the CPU, with the weights that `weights_of` returned."""

    def weights_of(self, network: Any) -> Weights:
        """Return the weights of a network as they are saved."""
        return network.state_dict()

    @property
    def description(self) -> Description:
        if self._description is None:
            self._description = self.describe()
        return self._description

    @property
    def preprocessing(self) -> Preprocessing:
        return self.description.preprocessing

    @property
    def n_regions(self) -> int:
        return self.description.n_regions

    @property
    def dim(self) -> int:
        return self.description.dim

    def load(self) -> nn.Module:
        if self._weights is not None:
            network, self._weights = self.build(self._weights), None
            return network
        self.description  # noqa: B018  may load the network as well
        return self.load_source() if self._network is None else self._network

    def weights_to_bytes(self, dtype: torch.dtype = torch.float32) -> bytes:
        """Serialize weights and description, as safetensors.

        dtype: of weights that are float32 in memory.
        """
        weights = self.weights_of(self.network_on(None)[0])
        saved = {name: to_precision(tensor, dtype).cpu() for name, tensor in weights.items()}
        return write_tensors(saved, METADATA_KEY, asdict(self.description))

    def restore(self, data: bytes) -> None:
        """Load what `weights_to_bytes` returned, in place of the source.

        Empty data, of a pipeline that was saved without the weights, is the source again.
        Raises ValueError, KeyError or TypeError for anything else.
        """
        weights, description = None, None
        if data:
            weights, value = read_tensors(data, METADATA_KEY)
            description = Description.from_json(value)
        with self._lock:
            self._network, self._weights, self._description = None, weights, description

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if self._network is not None:
            weights = self.weights_of(self._network).items()
            state["_weights"] = {name: tensor.cpu() for name, tensor in weights}
        return state

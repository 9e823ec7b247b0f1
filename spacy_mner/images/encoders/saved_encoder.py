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
        # Those that the network is built from, which then holds them.
        self._weights: Weights | None = None

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the weights come from, for messages."""

    @abstractmethod
    def describe(self) -> Description:
        """Read the description from the source."""

    @abstractmethod
    def read_weights(self) -> Weights:
        """Read the weights from the source, by the names that they have in the built network."""

    @abstractmethod
    def build(self, weights: Weights) -> nn.Module:
        """Build the network on the CPU, with any values; the weights are loaded into it next."""

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
        self.description  # noqa: B018  may read the weights as well
        weights = self.read_weights() if self._weights is None else self._weights
        network = self.build(weights)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"the weights {self.source} do not fit {self.fingerprint}: {error}"
            ) from error
        self._weights = None
        return network

    def weights_to_bytes(self, dtype: torch.dtype = torch.float32) -> bytes:
        """Serialize weights and description, as safetensors.

        dtype: of weights that are float32 in memory.
        """
        weights = self.network_on(None)[0].state_dict()
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
            weights = self._network.state_dict().items()
            state["_weights"] = {name: tensor.cpu() for name, tensor in weights}
        return state

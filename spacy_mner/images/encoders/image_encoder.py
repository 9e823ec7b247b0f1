"""What every image encoder is: images in, a frozen network's features and labels out."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from thinc.util import get_torch_default_device
from torch import Tensor, nn

from ..frozen_network import FrozenNetwork

Regions = Literal["global", "grid"]

# Bounds the memory of a batch on an accelerator; larger ones are hardly faster.
DEVICE_BATCH = 64


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become the input of a network. Nothing is cropped: the object may be anywhere.

    size: height and width that the whole image is resized to.
    mean, std: per channel (red, green, blue), in units of a pixel value (0 to 255).
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: Image.Resampling = Image.Resampling.BICUBIC

    def __call__(self, image: np.ndarray) -> Tensor:
        """Turn uint8 [h, w, 3] into float32 [3, size, size] on the CPU."""
        resized = Image.fromarray(image).resize((self.size, self.size), self.resample)
        pixels = np.asarray(resized, dtype=np.float32)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        normal = (pixels - mean) / std
        return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)))


@dataclass(frozen=True)
class Outputs:
    """What a network says of a batch.

    features: float [n, n_regions, dim].
    logits: float [n, n_classes].
    """

    features: Tensor
    logits: Tensor


class ImageEncoder(FrozenNetwork):
    """A frozen image network: it describes an image by vectors and names what it sees.

    `dim` is the width of one feature vector, `n_regions` the number of them for one image: 1, or
    the cells of the grid, row by row.
    """

    @property
    @abstractmethod
    def preprocessing(self) -> Preprocessing:
        """How pixels become the input of the network."""

    @abstractmethod
    def run(self, network: nn.Module, inputs: Tensor) -> Outputs:
        """Apply the network to float32 [n, 3, size, size]."""

    @abstractmethod
    def label(self, index: int, n_classes: int) -> str:
        """Name the class that the network has at `index` of its `n_classes` outputs."""

    @property
    def batch_size(self) -> int:
        return _batch_size(get_torch_default_device())

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        features = [outputs.features.float().cpu().numpy() for outputs in self._outputs(images)]
        if not features:
            return np.zeros((0, self.n_regions, self.dim), dtype=np.float32)
        return np.concatenate(features)

    def tags(self, images: Sequence[np.ndarray], k: int = 5) -> list[list[tuple[str, float]]]:
        """Name what is seen in images: the `k` likeliest labels of each and their probability."""
        named = []
        for outputs in self._outputs(images):
            n_classes = outputs.logits.shape[1]
            likely = outputs.logits.float().softmax(1).topk(min(k, n_classes))
            for best in zip(likely.indices.tolist(), likely.values.tolist(), strict=True):
                named.append([(self.label(i, n_classes), p) for i, p in zip(*best, strict=True)])
        return named

    def _outputs(self, images: Sequence[np.ndarray]) -> Iterator[Outputs]:
        if not images:
            return
        with self._lock:
            network, device = self._loaded()
        step = _batch_size(device)
        for start in range(0, len(images), step):
            batch = [self.preprocessing(image) for image in images[start : start + step]]
            # One thread at a time: watching what passes a network sees the passes of all threads.
            with self._lock, torch.inference_mode():
                outputs = self.run(network, torch.stack(batch).to(device))
            yield outputs


def _batch_size(device: torch.device) -> int:
    # On the CPU an image is alone in its batch, so that its features depend on nothing else.
    return 1 if device.type == "cpu" else DEVICE_BATCH


def make_fingerprint(name: str, **facts: Any) -> str:
    """Hash what determines the features into `name-<16 hexadecimal digits>`."""
    text = json.dumps(facts, sort_keys=True, default=asdict)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check_regions(regions: str) -> None:
    """Raise ValueError unless `regions` is one of the two kinds."""
    if regions not in ("global", "grid"):
        raise ValueError(f'regions must be "global" or "grid", not {regions!r}')


def imagenet_label(index: int) -> str:
    """Name one of the 1000 classes of ImageNet (ILSVRC 2012), counted from 0."""
    from torchvision.models import ResNet18_Weights

    return ResNet18_Weights.IMAGENET1K_V1.meta["categories"][index]

"""ImageEncoder, the base class of frozen image encoders, and ImageClassifier, of classifiers."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import ImageError
from ..frozen_network import FrozenNetwork
from ..safety.limits import LARGEST

Regions = Literal["global", "grid"]

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Preprocessing:
    """Resizing and normalization. Images are not cropped: an object may be anywhere.

    size: height and width that the whole image is resized to.
    mean, std: per channel (red, green, blue), in units of pixel values (0 to 255).
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resample: Image.Resampling = Image.Resampling.BICUBIC

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing with these fields, which may have been JSON."""
        mean, std = tuple(value["mean"]), tuple(value["std"])
        return cls(value["size"], mean, std, Image.Resampling(value["resample"]))

    def __call__(self, image: np.ndarray) -> Tensor:
        """Convert uint8 [h, w, 3] into float32 [3, size, size] on the CPU."""
        resized = Image.fromarray(image).resize((self.size, self.size), self.resample)
        # A contiguous uint8 tensor first: a third of the time of float32 arrays in numpy.
        pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous().float()
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return pixels.sub_(mean).div_(std)


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network for a batch of images.

    features: float [n, n_regions, dim].
    logits: float [n, n_classes] of a classifier.
    """

    features: Tensor
    logits: Tensor | None = None


class ImageEncoder(FrozenNetwork[np.ndarray]):
    """A frozen network that returns one feature vector per region of an image.

    Its results are float16 [n_regions, dim], in memory and on disk, so that computed and cached
    features are equal.

    regions: "global" is one region, "grid" one for each cell of a feature map. Raises ValueError
        for anything else.
    """

    device_batch = 64

    def __init__(self, *, regions: Regions = "global") -> None:
        super().__init__()
        if regions not in ("global", "grid"):
            raise ValueError(f'regions must be "global" or "grid", got {regions!r}')
        self.regions = regions

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width of a feature vector. Does not load the weights."""

    @property
    @abstractmethod
    def n_regions(self) -> int:
        """Regions per image: 1, or the cells of the grid, row by row. Does not load the weights."""

    @property
    @abstractmethod
    def preprocessing(self) -> Preprocessing:
        """How images become inputs of the network."""

    @abstractmethod
    def run(self, network: Any, inputs: Tensor) -> Outputs:
        """Apply the network to float32 [n, 3, size, size]."""

    def compute(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[np.ndarray | ImageError]:
        return [_to_half(features) for features in self.encode(images, device, is_train)]

    def encode(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> np.ndarray:
        """Return the features of images, each uint8 [h, w, 3]: float32 [n, n_regions, dim]."""
        features = [
            outputs.features.float().cpu().numpy()
            for outputs in self._outputs(images, device, is_train)
        ]
        if not features:
            return np.zeros((0, self.n_regions, self.dim), dtype=np.float32)
        return np.concatenate(features)

    def runner(
        self, device: torch.device | None, is_train: bool
    ) -> tuple[Callable[[Tensor], Outputs], torch.device]:
        """Return what computes the outputs of a batch, and the device of its inputs."""
        network, device = self.network_on(device)
        return partial(self.run, network), device

    def _outputs(
        self, images: Sequence[np.ndarray], device: torch.device | None, is_train: bool = False
    ) -> Iterator[Outputs]:
        if not images:
            return
        run, device = self.runner(device, is_train)
        step = self.batch_size(device)
        for start in range(0, len(images), step):
            batch = [self.preprocessing(image) for image in images[start : start + step]]
            with torch.inference_mode():
                yield run(torch.stack(batch).to(device))

    def nbytes(self, result: np.ndarray) -> int:
        return result.nbytes

    def to_bytes(self, result: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, result)
        return buffer.getvalue()

    def from_bytes(self, data: bytes) -> np.ndarray:
        features = np.load(io.BytesIO(data), allow_pickle=False)
        if features.dtype != np.float16 or features.shape != (self.n_regions, self.dim):
            raise ValueError(f"not features of {self.fingerprint}")
        return features


class ImageClassifier(ImageEncoder):
    """An image encoder whose outputs have logits."""

    def tags(
        self,
        images: Sequence[np.ndarray],
        k: int = 5,
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[list[tuple[str, float]]]:
        """Return the `k` most probable labels of each image, with their probabilities.

        Labels are those of ImageNet, or "class 3" for a network with another number of classes.
        device, is_train: as in `compute`.
        """
        tags = []
        for outputs in self._outputs(images, device, is_train):
            assert outputs.logits is not None
            n_classes = outputs.logits.shape[1]
            best = outputs.logits.float().softmax(1).topk(min(k, n_classes))
            for pairs in zip(best.indices.tolist(), best.values.tolist(), strict=True):
                tags.append([(_label(i, n_classes), p) for i, p in zip(*pairs, strict=True)])
        return tags


def _to_half(features: np.ndarray) -> np.ndarray | ImageError:
    if np.isnan(features).any():
        return ImageError("the image encoder returned NaN")
    half = features.clip(-LARGEST, LARGEST).astype(np.float16)
    half.setflags(write=False)  # callers share the cached array
    return half


def _label(index: int, n_classes: int) -> str:
    return imagenet_label(index) if n_classes == IMAGENET_CLASSES else f"class {index}"


def imagenet_label(index: int) -> str:
    """Return the name of one of the 1000 classes of ImageNet (ILSVRC 2012), counted from 0."""
    from torchvision.models import ResNet18_Weights

    return ResNet18_Weights.IMAGENET1K_V1.meta["categories"][index]

"""A small cross-modal network and reproducible random batches for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spacy_mner.layers.fuse import CrossModal
from spacy_mner.layers.types import Embedded, RegionVectors, TokenVectors

WIDTH, HEADS = 6, 2
# The grid needs a projection to the width of the text, the objects do not.
WIDTHS = {"word": WIDTH, "image": 5, "objects": WIDTH}
# Width of a second text modality, the augmentation, for networks that name it.
NEAR_WIDTH = 4
SETTINGS: dict[str, Any] = {
    "widths": WIDTHS,
    "width": WIDTH,
    "heads": HEADS,
    "feedforward": 7,
    "dropout": 0.0,
    "grid": "image",
    "objects": "objects",
    "augmentation": None,
    "grid_gate": True,
    "objects_gate": True,
    "augmentation_gate": False,
    "region_first": True,
    "auxiliary": True,
}


def cross_modal(**settings: Any) -> CrossModal:
    """A network in float64 with random parameters, biases and norms included."""
    torch.manual_seed(0)
    network = CrossModal(**{**SETTINGS, **settings}).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


@dataclass(frozen=True)
class Post:
    """The sizes of a post, and the seed of its vectors."""

    seed: int
    n_tokens: int
    n_regions: int
    n_objects: int

    @cached_property
    def word(self) -> Tensor:
        return self._random(self.n_tokens, WIDTH, 0)

    @cached_property
    def near(self) -> Tensor:
        return self._random(self.n_tokens, NEAR_WIDTH, 3)

    @cached_property
    def has_near(self) -> Tensor:
        return torch.arange(self.n_tokens) % 3 != 1

    @cached_property
    def regions(self) -> dict[str, Tensor]:
        return {
            "image": self._random(self.n_regions, WIDTHS["image"], 1),
            "objects": self._random(self.n_objects, WIDTH, 2),
        }

    def _random(self, n: int, width: int, kind: int) -> Tensor:
        generator = torch.Generator().manual_seed(4 * self.seed + kind)
        return torch.randn(n, width, generator=generator, dtype=torch.float64)


def vectors_of(modality: Embedded) -> Tensor:
    return modality.regions if isinstance(modality, RegionVectors) else modality.vectors


@dataclass(frozen=True)
class Batch:
    """A padded batch with available regions at random indices and noise in the padding."""

    posts: Sequence[Post]
    convert: Callable[[Tensor], Tensor] = lambda vectors: vectors

    def to(self, target: torch.dtype | str) -> Batch:
        return Batch(self.posts, lambda tensor: tensor.to(target))

    def as_leaves(self) -> Batch:
        return Batch(self.posts, lambda tensor: tensor.clone().requires_grad_())

    @property
    def lengths(self) -> Tensor:
        return torch.tensor([post.n_tokens for post in self.posts], dtype=torch.int64)

    @cached_property
    def embedded(self) -> dict[str, Embedded]:
        everywhere = [torch.ones(post.n_tokens, dtype=torch.bool) for post in self.posts]
        return {
            "word": self._tokens(WIDTH, [post.word for post in self.posts], everywhere),
            "near": self._tokens(
                NEAR_WIDTH, [post.near for post in self.posts], [p.has_near for p in self.posts]
            ),
            "image": self._regions("image"),
            "objects": self._regions("objects"),
        }

    def indices(self, name: str, post: int) -> np.ndarray:
        """The indices of a post's regions among those of the batch."""
        n = len(self.posts[post].regions[name])
        shuffled = np.random.default_rng(n).permutation(self._n_regions(name))
        return np.sort(shuffled[:n])

    def tokens(self, post: int) -> slice:
        start = int(self.lengths[:post].sum())
        return slice(start, start + self.posts[post].n_tokens)

    def _tokens(self, width: int, vectors: list[Tensor], available: list[Tensor]) -> TokenVectors:
        flat = self.convert(torch.cat([torch.zeros(0, width, dtype=torch.float64), *vectors]))
        mask = torch.cat([torch.zeros(0, dtype=torch.bool), *available])
        return TokenVectors(flat, mask.to(flat.device))

    def _n_regions(self, name: str) -> int:
        most = max((len(post.regions[name]) for post in self.posts), default=0)
        return most + 1 if most else 0

    def _regions(self, name: str) -> RegionVectors:
        shape = (len(self.posts), self._n_regions(name))
        generator = torch.Generator().manual_seed(99)
        regions = 10 * torch.randn(*shape, WIDTHS[name], generator=generator, dtype=torch.float64)
        available = torch.zeros(shape, dtype=torch.bool)
        for i, post in enumerate(self.posts):
            indices = torch.from_numpy(self.indices(name, i))
            regions[i, indices], available[i, indices] = post.regions[name], True
        regions = self.convert(regions)
        return RegionVectors(regions, available.to(regions.device))


def batch_of(*sizes: tuple[int, int, int]) -> Batch:
    """Posts with these numbers of tokens, regions and objects."""
    return Batch([Post(seed, *size) for seed, size in enumerate(sizes)])

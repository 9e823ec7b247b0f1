"""A small cross-modal network, and batches of posts for it that are always the same."""

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
# A grid of another width than the text, and objects of the same.
WIDTHS = {"word": WIDTH, "image": 5, "objects": WIDTH}
# A second modality of the text, which networks have that name it: what is near a word.
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
    """In float64, with no bias at zero and no scale at one."""
    torch.manual_seed(0)
    network = CrossModal(**{**SETTINGS, **settings}).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network


@dataclass(frozen=True)
class Post:
    """How much of everything a post has, and its number, on which its content depends."""

    number: int
    n_tokens: int
    n_regions: int
    n_objects: int

    @cached_property
    def text(self) -> Tensor:
        return self._content(self.n_tokens, WIDTH, 0)

    @cached_property
    def near(self) -> Tensor:
        return self._content(self.n_tokens, NEAR_WIDTH, 3)

    @cached_property
    def has_near(self) -> Tensor:
        """Every third token has nothing near it."""
        return torch.arange(self.n_tokens) % 3 != 1

    @cached_property
    def memories(self) -> dict[str, Tensor]:
        return {
            "image": self._content(self.n_regions, 5, 1),
            "objects": self._content(self.n_objects, WIDTH, 2),
        }

    def _content(self, n: int, width: int, kind: int) -> Tensor:
        generator = torch.Generator().manual_seed(4 * self.number + kind)
        return torch.randn(n, width, generator=generator, dtype=torch.float64)


def of_modality(modality: Embedded) -> Tensor:
    return modality.regions if isinstance(modality, RegionVectors) else modality.vectors


@dataclass(frozen=True)
class Batch:
    """Posts side by side: their regions at scattered places, rubbish at the places between."""

    posts: Sequence[Post]
    change: Callable[[Tensor], Tensor] = lambda vectors: vectors

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
            "word": self._tokens(WIDTH, [post.text for post in self.posts], everywhere),
            "near": self._tokens(
                NEAR_WIDTH, [post.near for post in self.posts], [p.has_near for p in self.posts]
            ),
            "image": self._memory("image"),
            "objects": self._memory("objects"),
        }

    def _tokens(self, width: int, vectors: list[Tensor], there: list[Tensor]) -> TokenVectors:
        flat = torch.cat([torch.zeros(0, width, dtype=torch.float64), *vectors])
        available = torch.cat([torch.zeros(0, dtype=torch.bool), *there])
        flat = self.change(flat)
        return TokenVectors(flat, available.to(flat.device))

    def places(self, name: str, post: int) -> np.ndarray:
        """Where the regions of a post stand in the memory."""
        n = len(self.posts[post].memories[name])
        shuffled = np.random.default_rng(n).permutation(self._n_places(name))
        return np.sort(shuffled[:n])

    def tokens(self, post: int) -> slice:
        start = int(self.lengths[:post].sum())
        return slice(start, start + self.posts[post].n_tokens)

    def _n_places(self, name: str) -> int:
        most = max((len(post.memories[name]) for post in self.posts), default=0)
        return most + 1 if most else 0

    def _memory(self, name: str) -> RegionVectors:
        shape = (len(self.posts), self._n_places(name))
        generator = torch.Generator().manual_seed(99)
        regions = 10 * torch.randn(*shape, WIDTHS[name], generator=generator, dtype=torch.float64)
        available = torch.zeros(shape, dtype=torch.bool)
        for i, post in enumerate(self.posts):
            places = torch.from_numpy(self.places(name, i))
            regions[i, places], available[i, places] = post.memories[name], True
        regions = self.change(regions)
        return RegionVectors(regions, available.to(regions.device))


def batch_of(*sizes: tuple[int, int, int]) -> Batch:
    """Posts of so many tokens, regions and objects each."""
    return Batch([Post(number, *size) for number, size in enumerate(sizes)])

"""Posts of different lengths: flat [n_tokens, ...] plus lengths, as a grid or in steps of time.

Lengths are int64 [n_posts] on the CPU everywhere, zero included, so that all index arithmetic
happens there and a GPU never has to be waited for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .types import RegionVectors, TokenVectors


def posts_of_tokens(lengths: Tensor) -> Tensor:
    """The post of every token: int64 [n_tokens], on the CPU."""
    return torch.repeat_interleave(torch.arange(len(lengths)), lengths)


def mask_of(lengths: Tensor, width: int | None = None) -> Tensor:
    """The cells of a grid that hold a token: bool [n_posts, width], on the CPU.

    width: of the grid; by default, as narrow as the longest post allows.
    """
    if width is None:
        width = int(lengths.max()) if len(lengths) else 0
    return torch.arange(width) < lengths.unsqueeze(1)


def to_grid(flat: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """[n_tokens, ...] to a zero-padded [n_posts, longest, ...] and its mask [n_posts, longest]."""
    mask = mask_of(lengths)
    cells = mask.flatten().nonzero().squeeze(1).to(flat.device)
    grid = flat.new_zeros(mask.numel(), *flat.shape[1:]).index_copy(0, cells, flat)
    return grid.view(*mask.shape, *flat.shape[1:]), mask.to(flat.device)


def from_grid(grid: Tensor, lengths: Tensor) -> Tensor:
    """[n_posts, any width, ...] to [n_tokens, ...]; what stands in the padding is dropped."""
    cells = mask_of(lengths, grid.shape[1]).flatten().nonzero().squeeze(1).to(grid.device)
    return grid.flatten(0, 1).index_select(0, cells)


def pool_regions(memory: RegionVectors, lengths: Tensor) -> TokenVectors:
    """The mean of a post's available regions, given to every token of the post.

    The tokens of a post without any region get zeros and count as unavailable.
    """
    weights = memory.available.to(memory.regions.dtype)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
    pooled = (memory.regions * weights.unsqueeze(2)).sum(dim=1)
    posts = posts_of_tokens(lengths).to(pooled.device)
    return TokenVectors(pooled.index_select(0, posts), memory.available.any(dim=1)[posts])


@dataclass(frozen=True)
class Packing:
    """The order in which a recurrence meets the tokens: step by step, longest post first.

    Step s of all posts that are longer than s stand together, so that a loop over time touches no
    padding. Posts without tokens take no part.

    counts: how many posts are alive at each step; int64 [longest], on the CPU.
    posts: the posts with tokens, longest first; int64 [n_alive].
    forward: the flat index of each token in the order of steps; int64 [n_tokens].
    backward: the same where every post is read from its last token to its first.
    unpack_forward, unpack_backward: the inverses of these two orders.
    """

    counts: Tensor
    posts: Tensor
    forward: Tensor
    backward: Tensor
    unpack_forward: Tensor
    unpack_backward: Tensor

    @classmethod
    def of(cls, lengths: Tensor, device: torch.device) -> Packing:
        """The packing of flat tokens; its indices live on `device`."""
        starts = lengths.cumsum(0) - lengths
        longest_first, posts = lengths.sort(descending=True, stable=True)
        posts = posts[: int((lengths > 0).sum())]
        first = starts[posts]
        last = first + lengths[posts] - 1
        steps = torch.arange(int(longest_first[0]) if len(lengths) else 0).unsqueeze(1)
        alive = first + steps <= last
        forward, backward = (first + steps)[alive], (last - steps)[alive]
        unpack = torch.empty(2, len(forward), dtype=torch.int64)
        places = torch.arange(len(forward))
        unpack[0, forward], unpack[1, backward] = places, places
        # One transfer instead of five.
        indices = torch.cat([posts, forward, backward, *unpack]).to(device, non_blocking=True)
        sizes = [len(posts), *[len(forward)] * 4]
        return cls(alive.sum(1), *indices.split(sizes))

    @property
    def first(self) -> Tensor:
        """The first token of each of `posts`."""
        return self.forward[: len(self.posts)]

    @property
    def last(self) -> Tensor:
        """The last token of each of `posts`."""
        return self.backward[: len(self.posts)]

    @property
    def following(self) -> Tensor:
        """Every token that has a token of the same post before it (namely its index minus 1)."""
        return self.forward[len(self.posts) :]

    def pack(self, flat: Tensor) -> PackedSequence:
        """Flat tokens, ready for a recurrent layer of torch."""
        return PackedSequence(flat.index_select(0, self.forward), self.counts)

    def unpack(self, packed: PackedSequence) -> Tensor:
        """The output of a recurrent layer as flat tokens."""
        return packed.data.index_select(0, self.unpack_forward)

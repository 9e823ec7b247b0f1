"""Conversions between flat tokens, padded grids and packed sequences.

Tokens are flat, [n_tokens, ...], with the lengths of the posts: int64 [n_posts] (0 is allowed), on
the CPU, so that index arithmetic never synchronizes with a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from .types import Embedded, RegionVectors, TokenVectors


def posts_of_tokens(lengths: Tensor) -> Tensor:
    """The post index of each token: int64 [n_tokens], on the CPU."""
    return torch.repeat_interleave(torch.arange(len(lengths)), lengths)


def token_mask(lengths: Tensor, width: int | None = None) -> Tensor:
    """The cells of a grid that hold a token: bool [n_posts, width], on the CPU.

    width: of the grid; by default the length of the longest post.
    """
    if width is None:
        width = int(lengths.max()) if len(lengths) else 0
    return torch.arange(width) < lengths.unsqueeze(1)


def to_grid(flat: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """[n_tokens, ...] to a zero-padded [n_posts, longest, ...] and its mask [n_posts, longest]."""
    mask = token_mask(lengths)
    cells = mask.flatten().nonzero().squeeze(1).to(flat.device)
    grid = flat.new_zeros(mask.numel(), *flat.shape[1:]).index_copy(0, cells, flat)
    return grid.view(*mask.shape, *flat.shape[1:]), mask.to(flat.device)


def from_grid(grid: Tensor, lengths: Tensor) -> Tensor:
    """[n_posts, width, ...] to [n_tokens, ...], without the padding."""
    cells = token_mask(lengths, grid.shape[1]).flatten().nonzero().squeeze(1).to(grid.device)
    return grid.flatten(0, 1).index_select(0, cells)


def tokens_from_distinct(
    distinct: Tensor, token: Tensor, known: Tensor | None = None
) -> TokenVectors:
    """Repeat the vector of each distinct word at its tokens, all of them available.

    distinct: [n_distinct, width]. token: int64 [n_tokens], indices of distinct words.
    known: bool [n_distinct], as in `TokenVectors`.
    """
    vectors = functional.embedding(token, distinct)
    available = torch.ones_like(token, dtype=torch.bool)
    return TokenVectors(vectors, available, None if known is None else known[token])


def token_vectors(
    embedded: Mapping[str, Embedded], names: Iterable[str], lengths: Tensor
) -> list[TokenVectors]:
    """The modalities in the order of `names`, regions pooled."""
    modalities = [embedded[name] for name in names]
    return [pool_regions(m, lengths) if isinstance(m, RegionVectors) else m for m in modalities]


def pool_regions(modality: RegionVectors, lengths: Tensor) -> TokenVectors:
    """The mean of a post's available regions, repeated for each of its tokens.

    Tokens of a post without regions get zeros and are not available.
    """
    weights = modality.available.to(modality.regions.dtype)
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1)
    pooled = (modality.regions * weights.unsqueeze(2)).sum(dim=1)
    posts = posts_of_tokens(lengths).to(pooled.device)
    return TokenVectors(pooled.index_select(0, posts), modality.available.any(dim=1)[posts])


@dataclass(frozen=True)
class Packing:
    """The time-major order of tokens in a `PackedSequence`: by position, longest post first.

    A loop over time therefore touches no padding. Posts without tokens are left out.

    counts: number of posts longer than each position, int64 [longest], on the CPU.
    posts: the posts with tokens, longest first, int64 [n_nonempty].
    forward: flat index of each token in packed order, int64 [n_tokens].
    backward: the same with the tokens of each post reversed.
    unpack_forward, unpack_backward: the inverse permutations.
    """

    counts: Tensor
    posts: Tensor
    forward: Tensor
    backward: Tensor
    unpack_forward: Tensor
    unpack_backward: Tensor

    @classmethod
    def of(cls, lengths: Tensor, device: torch.device) -> Packing:
        """The packing of posts of these lengths, with its indices on `device`."""
        starts = lengths.cumsum(0) - lengths
        longest_first, posts = lengths.sort(descending=True, stable=True)
        posts = posts[: int((lengths > 0).sum())]
        first = starts[posts]
        last = first + lengths[posts] - 1
        steps = torch.arange(int(longest_first[0]) if len(lengths) else 0).unsqueeze(1)
        is_token = first + steps <= last
        forward, backward = (first + steps)[is_token], (last - steps)[is_token]
        unpack = torch.empty(2, len(forward), dtype=torch.int64)
        order = torch.arange(len(forward))
        unpack[0, forward], unpack[1, backward] = order, order
        # One transfer instead of five.
        indices = torch.cat([posts, forward, backward, *unpack]).to(device, non_blocking=True)
        sizes = [len(posts), *[len(forward)] * 4]
        return cls(is_token.sum(1), *indices.split(sizes))

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
        """All tokens but the first of each post; their predecessors have the index minus 1."""
        return self.forward[len(self.posts) :]

    def pack(self, flat: Tensor) -> PackedSequence:
        """Flat tokens as the input of a recurrent layer of torch."""
        return PackedSequence(flat.index_select(0, self.forward), self.counts)

    def unpack(self, packed: PackedSequence) -> Tensor:
        """The output of a recurrent layer of torch as flat tokens."""
        return packed.data.index_select(0, self.unpack_forward)

"""A word from its characters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..ragged import Packing, from_grid
from ..sizes import check_sizes
from ..types import Features, TokenVectors


class CharBiLSTM(nn.Module):
    """The last states of an LSTM that reads a word forwards and of one that reads it backwards.

    (Lample et al. 2016)

    width: of the result, half from each direction, so an even number.
    n_characters: how many characters have a vector of their own.
    character_width: of the vector of a character.
    dropout: on the vector of a word.

    Features: `characters` int64 [n_distinct, longest], 0 for padding; `lengths` int64 [n_distinct],
    on the CPU; `token` int64 [n_tokens], the place of every token among the distinct ones.
    """

    def __init__(
        self, *, width: int, n_characters: int, character_width: int, dropout: float
    ) -> None:
        super().__init__()
        check_sizes("CharBiLSTM", width=width, character_width=character_width)
        if width % 2:
            raise ValueError(
                f"CharBiLSTM gives half of its width to each direction, so width = {width} must "
                "be even"
            )
        self.width = width
        self.embed = nn.Embedding(n_characters + 1, character_width, padding_idx=0)
        self.read = nn.LSTM(character_width, width // 2, bidirectional=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        return _of_tokens(self.dropout(self._distinct(features)), features["token"])

    def _distinct(self, features: Features) -> Tensor:
        """[n_distinct, width]; zeros for a word without characters."""
        lengths = features["lengths"]
        characters = from_grid(features["characters"], lengths)
        if not len(characters):
            return self.embed.weight.new_zeros(len(lengths), self.width)
        packing = Packing.of(lengths, characters.device)
        _, (last, _) = self.read(packing.pack(self.embed(characters)))
        words = last.new_zeros(len(lengths), self.width)
        return words.index_copy(0, packing.posts, last.transpose(0, 1).flatten(1))


class CharCNN(nn.Module):
    """The maximum over a word of a convolution over its characters.

    (Ma & Hovy 2016.) Padding never wins, and a word's vector does not depend on how much of it
    there is.

    width: of the result, the number of filters.
    n_characters: how many characters have a vector of their own.
    character_width: of the vector of a character.
    window: how many characters a filter sees.
    dropout: on the vectors of the characters.

    Features: as for CharBiLSTM.
    """

    def __init__(
        self, *, width: int, n_characters: int, character_width: int, window: int, dropout: float
    ) -> None:
        super().__init__()
        check_sizes("CharCNN", width=width, character_width=character_width, window=window)
        self.width = width
        self.margins = ((window - 1) // 2, window // 2)
        self.embed = nn.Embedding(n_characters + 1, character_width, padding_idx=0)
        self.convolve = nn.Conv1d(character_width, width, window)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        return _of_tokens(self._distinct(features), features["token"])

    def _distinct(self, features: Features) -> Tensor:
        """[n_distinct, width]; zeros for a word without characters."""
        characters, lengths = features["characters"], features["lengths"]
        if not characters.numel():
            return self.embed.weight.new_zeros(len(lengths), self.width)
        vectors = self.dropout(self.embed(characters)).transpose(1, 2)
        responses = self.convolve(functional.pad(vectors, self.margins))
        is_padding = torch.arange(characters.shape[1]) >= lengths.unsqueeze(1)
        lowest = torch.finfo(responses.dtype).min
        is_padding = is_padding.to(responses.device).unsqueeze(1)
        strongest = responses.masked_fill(is_padding, lowest).amax(dim=2)
        is_empty = (lengths == 0).to(responses.device).unsqueeze(1)
        return strongest.masked_fill(is_empty, 0)


def _of_tokens(distinct: Tensor, token: Tensor) -> TokenVectors:
    return TokenVectors(
        functional.embedding(token, distinct), torch.ones_like(token, dtype=torch.bool)
    )

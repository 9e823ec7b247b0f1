"""Vectors of words from their characters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..ragged import Packing, from_grid, token_mask, tokens_from_distinct
from ..types import Features, TokenVectors


class CharBiLSTM(nn.Module):
    """The last states of a forward and a backward LSTM over the characters (Lample et al. 2016).

    width: of the output, half from each direction; even.
    n_characters: size of the character vocabulary.
    character_width: of the character embeddings.
    dropout: on the output.

    Features: `characters` int64 [n_distinct, longest], 0 for padding; `lengths` int64 [n_distinct],
    on the CPU; `token` int64 [n_tokens], the index of each token among the distinct words.
    """

    def __init__(
        self, *, width: int, n_characters: int, character_width: int, dropout: float
    ) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(
                f"CharBiLSTM needs an even width, half for each direction, got {width}."
            )
        self.width = width
        self.embedding = nn.Embedding(n_characters + 1, character_width, padding_idx=0)
        self.lstm = nn.LSTM(character_width, width // 2, bidirectional=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        return tokens_from_distinct(self.dropout(self._distinct(features)), features["token"])

    def _distinct(self, features: Features) -> Tensor:
        """[n_distinct, width]; zeros for a word without characters."""
        lengths = features["lengths"]
        characters = from_grid(features["characters"], lengths)
        if not len(characters):
            return self.embedding.weight.new_zeros(len(lengths), self.width)
        packing = Packing.of(lengths, characters.device)
        _, (last, _) = self.lstm(packing.pack(self.embedding(characters)))
        words = last.new_zeros(len(lengths), self.width)
        return words.index_copy(0, packing.posts, last.transpose(0, 1).flatten(1))


class CharCNN(nn.Module):
    """The maximum over time of a convolution over the characters (Ma & Hovy 2016).

    The output does not depend on the amount of padding.

    width: of the output, the number of filters.
    n_characters: size of the character vocabulary.
    character_width: of the character embeddings.
    window: characters per filter.
    dropout: on the character embeddings.

    Features: as for CharBiLSTM.
    """

    def __init__(
        self, *, width: int, n_characters: int, character_width: int, window: int, dropout: float
    ) -> None:
        super().__init__()
        self.width = width
        self.margins = ((window - 1) // 2, window // 2)
        self.embedding = nn.Embedding(n_characters + 1, character_width, padding_idx=0)
        self.convolution = nn.Conv1d(character_width, width, window)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        return tokens_from_distinct(self._distinct(features), features["token"])

    def _distinct(self, features: Features) -> Tensor:
        """[n_distinct, width]; zeros for a word without characters."""
        characters, lengths = features["characters"], features["lengths"]
        if not characters.numel():
            return self.embedding.weight.new_zeros(len(lengths), self.width)
        vectors = self.dropout(self.embedding(characters)).transpose(1, 2)
        responses = self.convolution(functional.pad(vectors, self.margins))
        is_padding = ~token_mask(lengths, characters.shape[1]).to(responses.device).unsqueeze(1)
        lowest = torch.finfo(responses.dtype).min
        maximum = responses.masked_fill(is_padding, lowest).amax(dim=2)
        return maximum.masked_fill(is_padding.all(dim=2), 0)

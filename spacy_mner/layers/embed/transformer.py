"""Vectors of a pretrained transformer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..ragged import from_grid, to_grid
from ..sizes import check_sizes
from ..types import Features, TokenVectors

# Cells of a grid (segments x longest) that the encoder reads at once, which bounds memory. Small
# grids have little padding (a quarter of the time on a CPU); a GPU wants large ones.
PADDED_PIECES = {"cpu": 1024, "other": 16384}


class TransformerEmbedding(nn.Module):
    """One vector per token, from a bidirectional encoder that reads word pieces.

    encoder: called with `input_ids`, `attention_mask` and, for one that tells texts apart,
        `token_type_ids`, all int64 [n, longest]; gives an object with `last_hidden_state`
        [n, longest, dim], as the encoders of Hugging Face do.
    dim: of the encoder's vectors.
    width: of the result; None for `dim`. The vectors are projected where it differs.
    dropout: on the encoder's vectors.
    freeze: leave the encoder as it is, in eval mode.

    Features: `pieces` int64 [n_pieces], all segments one after the other, longest first; `types`
    int64 [n_pieces], the text that each belongs to (optional); `lengths` int64 [n_segments], on
    the CPU; `place` int64 [n_tokens], the piece that gives each token its vector.
    """

    def __init__(
        self, *, encoder: nn.Module, dim: int, width: int | None, dropout: float, freeze: bool
    ) -> None:
        super().__init__()
        check_sizes("Transformer", width=width)
        self.encoder = encoder.requires_grad_(not freeze)
        self.width = dim if width is None else width
        self.freeze = freeze
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Identity() if self.width == dim else nn.Linear(dim, self.width)

    def train(self, mode: bool = True) -> TransformerEmbedding:
        super().train(mode)
        if self.freeze:
            self.encoder.eval()
        return self

    def pretrained_parameters(self) -> Iterator[nn.Parameter]:
        return self.encoder.parameters()

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        place = features["place"]
        cells = PADDED_PIECES["cpu" if place.device.type == "cpu" else "other"]
        parts = _parts(features["lengths"], cells)
        read = torch.cat([self._read(features, part) for part in parts])
        vectors = self.project(self.dropout(read.index_select(0, place)))
        return TokenVectors(vectors, torch.ones_like(place, dtype=torch.bool))

    def _read(self, features: Features, part: slice) -> Tensor:
        """The vectors [n_pieces, dim] of some of the segments."""
        lengths = features["lengths"][part]
        first = int(features["lengths"][: part.start].sum())
        pieces = slice(first, first + int(lengths.sum()))
        ids, mask = to_grid(features["pieces"][pieces], lengths)
        texts = {"input_ids": ids, "attention_mask": mask.long()}
        if "types" in features:
            texts["token_type_ids"] = to_grid(features["types"][pieces], lengths)[0]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            return from_grid(self.encoder(**texts).last_hidden_state, lengths)


def _parts(lengths: Tensor, cells: int) -> Iterator[slice]:
    """Cut segments, longest first, into runs that fit into so many cells, or of one."""
    start = 0
    while start < len(lengths):
        n_segments = max(cells // int(lengths[start]), 1)
        yield slice(start, start + n_segments)
        start += n_segments

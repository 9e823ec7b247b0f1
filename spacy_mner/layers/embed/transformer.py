"""Vectors of a pretrained text encoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..ragged import from_grid, to_grid
from ..types import Features, TokenVectors

# Cells (segments x longest) of one call of the encoder, which bounds memory. Small grids have less
# padding, which saves a quarter of the time on a CPU; a GPU needs large ones.
PADDED_PIECES = {"cpu": 256, "other": 16384}


class TransformerEmbedding(nn.Module):
    """The vector of one word piece per token, from a bidirectional encoder.

    encoder: called with `input_ids`, `attention_mask` and, if features have types,
        `token_type_ids`, each int64 [n, longest]; returns an object with `last_hidden_state`
        [n, longest, dim], as encoders of Hugging Face do.
    dim: of the encoder's vectors.
    width: of the output; None for `dim`. Vectors are projected if it differs.
    dropout: on the encoder's vectors.
    freeze: do not train the encoder, and keep it in eval mode.

    Features: `pieces` int64 [n_pieces], of all segments, longest segment first; `types` int64
    [n_pieces], token types (optional); `lengths` int64 [n_segments], on the CPU;
    `first_piece` int64 [n_tokens], the index of each token's first piece.
    """

    def __init__(
        self, *, encoder: nn.Module, dim: int, width: int | None, dropout: float, freeze: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(not freeze)
        self.width = dim if width is None else width
        self.freeze = freeze
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Identity() if self.width == dim else nn.Linear(dim, self.width)

    def train(self, mode: bool = True) -> TransformerEmbedding:
        super().train(mode)
        if self.freeze:
            self.encoder.eval()
        return self

    def pretrained_parameters(self) -> Iterator[nn.Parameter]:
        return self.encoder.parameters()

    def forward(self, features: Features, lengths: Tensor) -> TokenVectors:
        first_piece = features["first_piece"]
        cells = PADDED_PIECES["cpu" if first_piece.device.type == "cpu" else "other"]
        batches = _batches(features["lengths"], cells)
        pieces = torch.cat([self._encode(features, batch) for batch in batches])
        vectors = self.projection(self.dropout(pieces.index_select(0, first_piece)))
        return TokenVectors(vectors, torch.ones_like(first_piece, dtype=torch.bool))

    def _encode(self, features: Features, batch: slice) -> Tensor:
        """The vectors [n_pieces, dim] of a slice of the segments."""
        lengths = features["lengths"][batch]
        first = int(features["lengths"][: batch.start].sum())
        pieces = slice(first, first + int(lengths.sum()))
        ids, mask = to_grid(features["pieces"][pieces], lengths)
        inputs = {"input_ids": ids, "attention_mask": mask.long()}
        if "types" in features:
            inputs["token_type_ids"] = to_grid(features["types"][pieces], lengths)[0]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            return from_grid(self.encoder(**inputs).last_hidden_state, lengths)


def _batches(lengths: Tensor, cells: int) -> Iterator[slice]:
    """Slices of segments, longest first, that fit into `cells`, or of one segment."""
    start = 0
    while start < len(lengths):
        n_segments = max(cells // int(lengths[start]), 1)
        yield slice(start, start + n_segments)
        start += n_segments

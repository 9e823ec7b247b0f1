"""A bidirectional LSTM."""

from __future__ import annotations

from torch import Tensor, nn

from ..ragged import Packing


class BiLSTM(nn.Module):
    """A bidirectional LSTM over the tokens of each post.

    input_width: of the fused vectors.
    hidden_width: of one direction; the output is twice as wide.
    dropout: on the output.
    """

    def __init__(self, *, input_width: int, hidden_width: int, dropout: float) -> None:
        super().__init__()
        self.width = 2 * hidden_width
        self.lstm = nn.LSTM(input_width, hidden_width, bidirectional=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        if not len(vectors):
            return vectors.new_zeros(0, self.width)
        packing = Packing.of(lengths, vectors.device)
        states, _ = self.lstm(packing.pack(vectors))
        encoded: Tensor = self.dropout(packing.unpack(states))
        return encoded

"""The bidirectional LSTM of Moon et al. 2018."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..ragged import Packing


class CoupledBiLSTM(nn.Module):
    """A bidirectional LSTM with coupled input and forget gates and peephole connections.

        i = sigmoid(W_xi x + W_hi h' + W_ci c' + b_i)
        c = (1 - i) * c' + i * tanh(W_xc x + W_hc h' + b_c)
        o = sigmoid(W_xo x + W_ho h' + W_co c + b_o)
        h = o * tanh(c)

    for the previous states h' and c', 0 at the first token (Moon et al. 2018, eq. 1, with biases,
    and with W_hi h' for the published W_xi h', as in Lample et al. 2016). The peephole weights W_ci
    and W_co are full matrices, as in the equation and in the code of Lample et al. Matrices are
    initialized uniform after Glorot & Bengio 2010, biases as 0.

    input_width: of the fused vectors.
    hidden_width: of one direction; the output is twice as wide.
    dropout: on the output.

    Parameters, both directions stacked: `input_projection.weight` [2 * 3 * hidden, input], rows of
    i, c, o; `recurrent_weight` [2, hidden, 3 * hidden], columns of i, c, o; `peephole_weight` [2,
    hidden, 2 * hidden], columns of o, i.
    """

    def __init__(self, *, input_width: int, hidden_width: int, dropout: float) -> None:
        super().__init__()
        self.width = 2 * hidden_width
        self.input_projection = nn.Linear(input_width, 2 * 3 * hidden_width)
        self.recurrent_weight = nn.Parameter(torch.empty(2, hidden_width, 3 * hidden_width))
        self.peephole_weight = nn.Parameter(torch.empty(2, hidden_width, 2 * hidden_width))
        self.dropout = nn.Dropout(dropout)
        of_input = math.sqrt(6 / (input_width + hidden_width))
        of_state = math.sqrt(6 / (2 * hidden_width))
        nn.init.uniform_(self.input_projection.weight, -of_input, of_input)
        nn.init.zeros_(self.input_projection.bias)
        nn.init.uniform_(self.recurrent_weight, -of_state, of_state)
        nn.init.uniform_(self.peephole_weight, -of_state, of_state)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        if not len(vectors):
            return vectors.new_zeros(0, self.width)
        packing = Packing.of(lengths, vectors.device)
        forward, backward = self.input_projection(vectors).chunk(2, dim=1)
        inputs = torch.stack([forward[packing.forward], backward[packing.backward]])
        # In half precision the cell state would lose small updates.
        with torch.autocast(vectors.device.type, enabled=False):
            forward, backward = self._recur(inputs.to(self.recurrent_weight.dtype), packing)
        states = [forward[packing.unpack_forward], backward[packing.unpack_backward]]
        encoded: Tensor = self.dropout(torch.cat(states, dim=1))
        return encoded

    def _recur(self, inputs: Tensor, packing: Packing) -> Tensor:
        """Hidden states [2, n_tokens, hidden] of both directions, each in its packed order.

        inputs: [2, n_tokens, 3 * hidden], the input's terms of i, c and o.
        """
        hidden = inputs.new_zeros(2, len(packing.posts), self.width // 2)
        cell = peephole = hidden
        states = []
        for step in inputs.split(packing.counts.tolist(), dim=1):
            n = step.shape[1]
            hidden, cell, peephole = hidden[:, :n], cell[:, :n], peephole[:, :n]
            gate, candidate, out = torch.baddbmm(step, hidden, self.recurrent_weight).chunk(3, 2)
            cell = torch.lerp(cell, candidate.tanh(), (gate + peephole).sigmoid())
            # One product for this step's output gate and the next step's input gate.
            of_output, peephole = torch.bmm(cell, self.peephole_weight).chunk(2, dim=2)
            hidden = (out + of_output).sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.cat(states, dim=1)

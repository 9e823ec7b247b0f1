"""Context by the recurrence of the paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..ragged import Packing
from ..sizes import check_sizes


class CoupledBiLSTM(nn.Module):
    """A bidirectional LSTM with coupled input and forget gates and peepholes.

        i = sigmoid(W_xi x + W_hi h' + W_ci c' + b_i)
        c = (1 - i) * c' + i * tanh(W_xc x + W_hc h' + b_c)
        o = sigmoid(W_xo x + W_ho h' + W_co c + b_o)
        h = o * tanh(c)

    (Moon et al. 2018, eq. 1, with the biases that it omits; it prints `W_xi h'` where the cell
    that it takes from Lample et al. 2016 has `W_hi h'`.) h' and c' are those of the token before,
    zero at the first. The peepholes W_ci and W_co are full matrices and not the usual diagonals:
    the equation multiplies them as it does the other matrices and has a sign of its own for
    products by element, and the code of Lample et al. does the same. Matrices begin uniform after
    Glorot & Bengio 2010, biases at zero.

    input_width: of the fused vectors.
    hidden_width: of one direction; the result is twice as wide.
    dropout: on the result.

    Parameters, with both directions in one: `read.weight` [2 * 3 * hidden, input], rows of i, c
    and o; `recur` [2, hidden, 3 * hidden], columns of i, c and o; `peep` [2, hidden, 2 * hidden],
    columns of o and i.
    """

    def __init__(self, *, input_width: int, hidden_width: int, dropout: float) -> None:
        super().__init__()
        check_sizes("CoupledBiLSTM", hidden_width=hidden_width)
        self.width = 2 * hidden_width
        self.read = nn.Linear(input_width, 2 * 3 * hidden_width)
        self.recur = nn.Parameter(torch.empty(2, hidden_width, 3 * hidden_width))
        self.peep = nn.Parameter(torch.empty(2, hidden_width, 2 * hidden_width))
        self.dropout = nn.Dropout(dropout)
        self._begin(input_width, hidden_width)

    def _begin(self, input_width: int, hidden_width: int) -> None:
        of_input = math.sqrt(6 / (input_width + hidden_width))
        of_state = math.sqrt(6 / (2 * hidden_width))
        nn.init.uniform_(self.read.weight, -of_input, of_input)
        nn.init.zeros_(self.read.bias)
        nn.init.uniform_(self.recur, -of_state, of_state)
        nn.init.uniform_(self.peep, -of_state, of_state)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """[n_tokens, input_width] to [n_tokens, width]."""
        if not len(vectors):
            return vectors.new_zeros(0, self.width)
        packing = Packing.of(lengths, vectors.device)
        ahead, back = self.read(vectors).chunk(2, dim=1)
        inputs = torch.stack([ahead[packing.forward], back[packing.backward]])
        # A cell in half precision would forget its small updates.
        with torch.autocast(vectors.device.type, enabled=False):
            ahead, back = self._recur(inputs.to(self.recur.dtype), packing)
        states = [ahead[packing.unpack_forward], back[packing.unpack_backward]]
        encoded: Tensor = self.dropout(torch.cat(states, dim=1))
        return encoded

    def _recur(self, inputs: Tensor, packing: Packing) -> Tensor:
        """Hidden states [2, n_tokens, hidden] of both directions, each in its order of steps.

        inputs: [2, n_tokens, 3 * hidden], what the input adds to i, c and o.
        """
        hidden = inputs.new_zeros(2, len(packing.posts), self.width // 2)
        cell = peeped = hidden
        states = []
        for step in inputs.split(packing.counts.tolist(), dim=1):
            alive = step.shape[1]
            hidden, cell, peeped = hidden[:, :alive], cell[:, :alive], peeped[:, :alive]
            into, candidate, out = torch.baddbmm(step, hidden, self.recur).chunk(3, dim=2)
            cell = torch.lerp(cell, candidate.tanh(), (into + peeped).sigmoid())
            # One product shows the cell to this step's output gate and the next one's input gate.
            shown, peeped = torch.bmm(cell, self.peep).chunk(2, dim=2)
            hidden = (out + shown).sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.cat(states, dim=1)

"""The LSTM cell as the textbook has it: the reference that a test holds the fast path to.

Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000 and without peepholes.
Weights are laid out as in `torch.nn.LSTM`: the gates i, f, g, o one below the other.
"""

import torch
from torch import Tensor


def lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """One step: x (B, X), hidden state h (B, D), cell state c (B, D) to the new h and c.

    `weight_ih` is (4D, X), `weight_hh` (4D, D), `bias` (4D,).
    """
    gates = x @ weight_ih.T + h @ weight_hh.T + bias  # (B, 4D)
    i, f, g, o = gates.chunk(4, dim=1)  # (B, D) each
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c

"""The LSTM cell as the textbook writes it: the reference to which the fast path is held.

Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000::

    i = sigmoid(W_i x + U_i h + b_i)      what to let in
    f = sigmoid(W_f x + U_f h + b_f)      what to keep
    g = tanh   (W_g x + U_g h + b_g)      what is offered
    o = sigmoid(W_o x + U_o h + b_o)      what to show
    c' = f * c + i * g
    h' = o * tanh(c')
"""

import torch
from torch import Tensor


def lstm_cell(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """One step: x (B, K), h and c (B, D), w (4D, K), u (4D, D), b (4D,), gates i, f, g, o -> h', c' (B, D)."""
    i, f, g, o = (x @ w.T + h @ u.T + b).chunk(4, dim=1)  # (B, D) each
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c

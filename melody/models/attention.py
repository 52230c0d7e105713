"""Causal attention over a bounded memory: the last M states of the piece, the present one included.

The memory is part of the carry, so windows glued together equal one pass, and a step costs the same at any length. The
distance into the past is told by a learned bias for each head (as in T5, arXiv:1910.10683), without which attention
would not know the order of what it sees.
"""

import torch
from torch import Tensor, nn

from melody.models.carry import Carry


class MemoryAttention(nn.Module):
    """Multi-head attention of each state to itself and the M - 1 before it."""

    def __init__(self, width: int, heads: int, memory: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"attention_heads must divide hidden_size {width}, got {heads}")
        self.heads, self.memory = heads, memory
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.bias = nn.Parameter(torch.zeros(heads, memory))  # by distance, 0 = the present state
        nn.init.zeros_(self.out.weight)  # at first the model is the LSTM alone
        nn.init.zeros_(self.out.bias)

    def initial_carry(self, batch_size: int, device: torch.device | str = "cpu") -> Carry:
        """An empty memory: keys and values (B, M, D), and which places are filled (B, M)."""
        zeros = torch.zeros(batch_size, self.memory, self.query.in_features, device=device)
        return {"keys": zeros, "values": zeros.clone(), "filled": zeros[..., 0].clone()}

    def forward(self, x: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """x (B, T, D) -> what each state takes from its past (B, T, D), carry."""
        batch, time, width = x.shape
        keys = torch.cat([carry["keys"], self.key(x).float()], 1)  # (B, M + T, D)
        values = torch.cat([carry["values"], self.value(x).float()], 1)
        filled = torch.cat([carry["filled"], torch.ones(batch, time, device=x.device)], 1)  # (B, M + T)
        # state t stands at place M + t and sees the places t + 1 ... t + M
        distance = self.memory + torch.arange(time)[:, None] - torch.arange(self.memory + time)[None]  # (T, M + T)
        visible = ((distance >= 0) & (distance < self.memory)).to(x.device)
        bias = self.bias[:, distance.clamp(0, self.memory - 1).to(x.device)]  # (heads, T, M + T)
        mask = torch.where(visible & (filled > 0)[:, None, None], bias[None].float(), float("-inf"))
        attended = nn.functional.scaled_dot_product_attention(
            self._by_head(self.query(x).float()), self._by_head(keys), self._by_head(values), attn_mask=mask
        )
        after = {"keys": keys[:, -self.memory :], "values": values[:, -self.memory :], "filled": filled[:, -self.memory :]}
        return self.out(attended.transpose(1, 2).reshape(batch, time, width)), after

    def _by_head(self, states: Tensor) -> Tensor:
        """(B, S, D) -> (B, heads, S, D / heads)."""
        return states.unflatten(2, (self.heads, -1)).transpose(1, 2)

"""Causal attention over exactly the last `memory` states of the piece, the present one included.

The key of each state is made from the state before it: a query finds the places where the piece stood as it does now,
and their values tell how it went on there. So one layer brings a phrase back, for which others need two (induction
heads, arXiv:2209.11895); the cache of Grave et al. 2016 (arXiv:1612.04426) has its keys so.

The memory is bounded, so that a token costs the same at any length, and it lives in the carry: windows glued by the
carry equal one pass whatever their length. Vaswani et al. 2017 (arXiv:1706.03762), with a learned bias for each head
and distance in place of positions (as in T5, arXiv:1910.10683, but one bias for each distance).
"""

import torch
from torch import Tensor, nn

# memory of the carry        window of T = 4 tokens
#   k1 k2 k3                   k4 k5 k6 k7            memory = 3
#         [--- q4 sees ---]                           k2 would be at distance 2: q4 sees k2, k3, k4
#                  [--- q6 sees ---]                  and so on; then the carry keeps k5 k6 k7


class MemoryAttention(nn.Module):
    """Multi-head attention from each state to the last `memory` states.

    The carry is ``keys`` and ``values`` (B, memory, D), the newest last, ``filled`` (B, memory): 1 where a state of
    this piece stands, 0 where there was none yet; and ``pending`` (B, 1, D), the key for the state to come.
    """

    def __init__(self, width: int, heads: int, memory: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"attention.heads must divide the width {width}, got {heads}")
        self.heads, self.memory = heads, memory
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.distance_bias = nn.Parameter(torch.zeros(heads, memory))  # [:, 0] is for the present state
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        with torch.no_grad():  # from the start, what is alike is found
            self.key.weight.copy_(self.query.weight)

    def start(self, batch_size: int) -> dict[str, Tensor]:
        """Return an empty memory."""
        width, device = self.out.out_features, self.distance_bias.device
        return {
            "keys": torch.zeros(batch_size, self.memory, width, device=device),
            "values": torch.zeros(batch_size, self.memory, width, device=device),
            "filled": torch.zeros(batch_size, self.memory, device=device),
            "pending": torch.zeros(batch_size, 1, width, device=device),
        }

    def forward(self, x: Tensor, carry: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what states x (B, T, D) recall (B, T, D), and the memory after them."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        dtype = key.dtype  # bf16 under autocast: what follows is bound by memory, not by arithmetic
        # each state is found by the one before it
        keys = torch.cat([carry["keys"].to(dtype), carry["pending"].to(dtype), key[:, :-1]], dim=1)  # (B, M + T, D)
        values = torch.cat([carry["values"].to(dtype), value], dim=1)
        filled = torch.cat([carry["filled"], torch.ones_like(x[:, :, 0], dtype=torch.float32)], dim=1)  # (B, M + T)
        with torch.autocast(x.device.type, enabled=False):  # it would softmax in fp32
            recalled = self._recall(query, keys, values, filled)
        last = slice(-self.memory, None)
        new = {"keys": keys[:, last].float(), "values": values[:, last].float(), "filled": filled[:, last]}
        new["pending"] = key[:, -1:].float()
        return self.out(recalled), new

    def _recall(self, query: Tensor, keys: Tensor, values: Tensor, filled: Tensor) -> Tensor:
        """Return what queries (B, T, D) find in keys and values (B, M + T, D): (B, T, D)."""
        q, k, v = (self._by_head(part) for part in (query * (query.shape[2] // self.heads) ** -0.5, keys, values))
        bias = self._bias(query.shape[1]).to(q.dtype)  # (heads, T, M + T)
        if not filled.all():
            bias = bias + ((filled - 1) * 1e9).to(q.dtype)[:, None, None, :]
        scores = (q @ k.transpose(2, 3)).add_(bias)  # (B, heads, T, M + T)
        return (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2)

    def _by_head(self, states: Tensor) -> Tensor:
        return states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)  # (B, heads, *, D / heads)

    def _bias(self, length: int) -> Tensor:
        """Learned bias by distance, and a wall around the last `memory` states: (heads, T, M + T)."""
        device = self.distance_bias.device
        now = torch.arange(self.memory, self.memory + length, device=device)
        distance = now[:, None] - torch.arange(self.memory + length, device=device)  # (T, M + T)
        within = (distance >= 0) & (distance < self.memory)
        bias = self.distance_bias[:, distance.clamp(0, self.memory - 1)]
        return torch.where(within, bias, -1e9)

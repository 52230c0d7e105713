"""The rival: a GPT-2-style decoder, for honest races of speed and of quality against the LSTM.

- pre-norm blocks, learned positions, GELU, no dropout unless asked for (Radford et al. 2019)
- or rotary positions: queries and keys are turned by angles that grow with the position, so that what one token sees
  of another depends on their distance alone (Su et al. 2021, arXiv:2104.09864)
- one further embedding for each context channel, as the LSTM has them
- head tied to the token embedding, as the LSTM's, with a bias of its own
- dropout, where it is asked for, of what is added to the stream; not of attention weights, which would cost the fused
  kernel of a CPU, and with it more than half of the speed
- attention by torch's fused kernel; a cache of keys and values that is allocated once, so that a step copies nothing
- the same initialisation as GPT-2: normal with 0.02, projections into the stream less by the root of their number

`shape_of(parameters)` gives the width, layers and heads of a decoder whose blocks have so many parameters, in the
proportions of GPT-2 (64 wide for each layer, heads of 64).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH_PER_LAYER = 64  # GPT-2: 768 / 12
HEAD_WIDTH = 64
ROTARY_BASE = 10_000  # the slowest pair of numbers turns once in 2 pi times so many positions


@dataclass
class Cache:
    """Keys and values (layers, B, H, M, D / H) of what has been read: the first `length` of M places."""

    keys: Tensor
    values: Tensor
    length: int = 0


class Block(nn.Module):
    """Attention to the past, then a feed-forward net of 4 D, each added to the stream."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(
        self, x: Tensor, cache: tuple[Tensor, Tensor] | None, start: int, angles: Tensor | None = None
    ) -> Tensor:
        """x (B, T, D) at the positions from `start` on; `cache` is this layer's keys and values (B, H, M, D / H).

        With `angles` (T, D / H / 2) positions are rotary.
        """
        batch, length, width = x.shape
        parts = self.query_key_value(self.norm_1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, H, T, D / H) each
        if angles is not None:
            query, key = _turned(query, angles), _turned(key, angles)
        if cache is not None:
            end = start + length
            for past, new in zip(cache, (key, value), strict=True):
                past[:, :, start:end] = new
            key, value = (past[:, :, :end] for past in cache)
        # one new token sees all; several see those before them, which a cached past shifts to the right
        mask = None if length == 1 or not start else _past(length, start, x.device)
        found = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            is_causal=length > 1 and not start,
        )
        x = x + self._dropped(self.project(found.transpose(1, 2).reshape(batch, length, width)))
        return x + self._dropped(self.narrow(functional.gelu(self.widen(self.norm_2(x)), approximate="tanh")))

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


def _past(length: int, start: int, device: torch.device) -> Tensor:
    """Which (T, start + T) positions each of T tokens sees."""
    return torch.ones(length, start + length, dtype=torch.bool, device=device).tril(start)


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """Pairs of numbers of x (B, H, T, D / H), the first and second half of it, turned by the angles."""
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)


class Transformer(nn.Module):
    """`model(tokens (B, T), cache, context (B, T, C)) -> logits (B, T, V)`; a cache holds what stands before."""

    def __init__(
        self,
        vocabulary_size: int,
        width: int,
        layers: int,
        heads: int,
        positions: int,
        dropout: float = 0.0,
        rotary: bool = False,
        channel_sizes: Sequence[int] = (),
    ) -> None:
        """`positions` is the greatest number of tokens. Raises `ValueError` for rotary heads of an odd width."""
        super().__init__()
        if rotary and width // heads % 2:
            raise ValueError(f"rotary positions turn pairs: {width} / {heads} numbers a head are odd")
        self.dropout, self.heads, self.most = dropout, heads, positions
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.positions = None if rotary else nn.Embedding(positions, width)
        self.channels = nn.ModuleList(nn.Embedding(size, width) for size in channel_sizes)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.apply(_initialise)
        for block in self.blocks:
            assert isinstance(block, Block)
            for projection in (block.project, block.narrow):
                nn.init.normal_(projection.weight, std=0.02 * (2 * layers) ** -0.5)

    def empty_cache(self, batch: int = 1) -> Cache:
        """A cache for as many tokens as there are positions."""
        weight = self.embedding.weight
        shape = (len(self.blocks), batch, self.heads, self.most, weight.shape[1] // self.heads)
        return Cache(weight.new_zeros(shape), weight.new_zeros(shape))

    def forward(self, tokens: Tensor, cache: Cache | None = None, context: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of the token after each; a cache grows by these tokens."""
        length, start = tokens.shape[1], cache.length if cache else 0
        if start + length > self.most:
            raise ValueError(f"{start + length} tokens: the model has {self.most} positions")
        x = self.embedding(tokens)  # (B, T, D)
        for index, channel in enumerate(self.channels):
            assert context is not None
            x = x + channel(context[:, :, index])
        if self.positions is not None:
            x = x + self.positions.weight[start : start + length]
        angles = self._angles(start, length) if self.positions is None else None
        x = functional.dropout(x, self.dropout, self.training) if self.dropout else x
        for layer, block in enumerate(self.blocks):
            x = block(x, (cache.keys[layer], cache.values[layer]) if cache else None, start, angles)
        if cache:
            cache.length += length
        return functional.linear(self.norm(x), self.embedding.weight, self.head_bias)

    def _angles(self, start: int, length: int) -> Tensor:
        """By how much each pair of a head's numbers is turned at each position (T, D / H / 2)."""
        width, device = self.embedding.weight.shape[1] // self.heads, self.embedding.weight.device
        speeds = ROTARY_BASE ** (-torch.arange(0, width, 2, device=device) / width)
        return torch.arange(start, start + length, device=device)[:, None] * speeds


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def shape_of(parameters: int) -> tuple[int, int, int]:
    """(width, layers, heads) of blocks with about so many parameters: 12 D^2 each, in GPT-2's proportions."""
    layers = max(1, round((parameters / (12 * WIDTH_PER_LAYER**2)) ** (1 / 3)))
    width = (parameters / (12 * layers)) ** 0.5
    heads = max(1, round(width / HEAD_WIDTH))
    return heads * 4 * max(1, round(width / (heads * 4))), layers, heads

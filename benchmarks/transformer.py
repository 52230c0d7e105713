"""The rival: a GPT-2-style decoder, for honest races of speed and of quality against the LSTM.

- pre-norm blocks, learned positions, GELU, no dropout unless asked for (Radford et al. 2019)
- head tied to the token embedding, as the LSTM's, with a bias of its own
- attention by torch's fused kernel; a cache of keys and values that is allocated once, so that a step copies nothing
- the same initialisation as GPT-2: normal with 0.02, projections into the stream less by the root of their number

`shape_of(parameters)` gives the width, layers and heads of a decoder whose blocks have so many parameters, in the
proportions of GPT-2 (64 wide for each layer, heads of 64).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH_PER_LAYER = 64  # GPT-2: 768 / 12
HEAD_WIDTH = 64


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

    def forward(self, x: Tensor, cache: tuple[Tensor, Tensor] | None, start: int) -> Tensor:
        """x (B, T, D) at the positions from `start` on; `cache` is this layer's keys and values (B, H, M, D / H)."""
        batch, length, width = x.shape
        parts = self.query_key_value(self.norm_1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, H, T, D / H) each
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
            dropout_p=self.dropout if self.training else 0.0,
        )
        x = x + self._dropped(self.project(found.transpose(1, 2).reshape(batch, length, width)))
        return x + self._dropped(self.narrow(functional.gelu(self.widen(self.norm_2(x)), approximate="tanh")))

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


def _past(length: int, start: int, device: torch.device) -> Tensor:
    """Which (T, start + T) positions each of T tokens sees."""
    return torch.ones(length, start + length, dtype=torch.bool, device=device).tril(start)


class Transformer(nn.Module):
    """`model(tokens (B, T), cache) -> logits (B, T, V)`; with a cache, T tokens that follow those in it."""

    def __init__(
        self, vocabulary_size: int, width: int, layers: int, heads: int, positions: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout, self.heads = dropout, heads
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.positions = nn.Embedding(positions, width)
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
        positions, width = self.positions.weight.shape
        shape = (len(self.blocks), batch, self.heads, positions, width // self.heads)
        weight = self.positions.weight
        return Cache(weight.new_zeros(shape), weight.new_zeros(shape))

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits (B, T, V) of the token after each; a cache grows by these tokens."""
        length, start = tokens.shape[1], cache.length if cache else 0
        if start + length > self.positions.num_embeddings:
            raise ValueError(f"{start + length} tokens: the model has {self.positions.num_embeddings} positions")
        x = self.embedding(tokens) + self.positions.weight[start : start + length]  # (B, T, D)
        x = functional.dropout(x, self.dropout, self.training) if self.dropout else x
        for layer, block in enumerate(self.blocks):
            x = block(x, (cache.keys[layer], cache.values[layer]) if cache else None, start)
        if cache:
            cache.length += length
        return functional.linear(self.norm(x), self.embedding.weight, self.head_bias)


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

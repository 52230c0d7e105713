"""The Transformer: a decoder in the manner of GPT-2 that sees exactly the last `memory` tokens of the piece.

- x = token embedding + one embedding for each context channel, then pre-norm blocks of attention and GELU feed-forward
  nets of 4 D (Radford et al. 2019); head tied to the token embedding, with a bias of its own
- keys and values of the last `memory` tokens live in the carry, as in Transformer-XL (Dai et al. 2019,
  arXiv:1901.02860): windows glued by the carry equal one pass whatever their length, and a token costs the same at any
  length
- rotary positions: queries and keys are turned by angles that grow with the position, so that what one token sees of
  another depends on their distance alone (Su et al. 2021, arXiv:2104.09864). Memory holds keys that are not yet turned
- dropout of what is added to the stream, not of attention weights: that would cost a CPU's fused kernel
- optional scores for intervals in the head, as the residual LSTM has them
- the initialisation of GPT-2: normal with 0.02, projections into the stream less by the root of their number
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from melody.models.carry import Carry, unconditioned
from melody.models.embedding import summed
from melody.models.intervals import IntervalHead, IntervalPlaces

ROTARY_BASE = 10_000  # the slowest pair of numbers turns once in 2 pi times so many positions


class Transformer(nn.Module):
    """`model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)`.

    The carry is a dict, in fp32: ``keys_0``, ``values_0``, ``keys_1`` ... (B, memory, D), the newest last, and
    ``filled`` (B, memory): 1 where a token of this piece stands, 0 where there was none yet.
    """

    def __init__(
        self,
        vocabulary_size: int,
        channel_sizes: Sequence[int],
        hidden_size: int = 256,
        layers: int = 4,
        heads: int = 4,
        memory: int = 512,
        dropout: float = 0.1,
        intervals: IntervalPlaces | None = None,
    ) -> None:
        """`intervals` is how pitches relate to channels. Raises `ValueError` for heads of an odd width."""
        super().__init__()
        if hidden_size % (2 * heads):
            raise ValueError(f"hidden_size must be a multiple of 2 x {heads} heads, got {hidden_size}")
        self.hidden_size, self.heads, self.memory, self.dropout = hidden_size, heads, memory, dropout
        self.embedding = nn.Embedding(vocabulary_size, hidden_size)
        self.channels = nn.ModuleList(nn.Embedding(size, hidden_size) for size in channel_sizes)
        self.blocks = nn.ModuleList(Block(hidden_size, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.head_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.apply(_initialise)
        for block in self.blocks:
            assert isinstance(block, Block)
            for projection in (block.project, block.narrow):
                nn.init.normal_(projection.weight, std=0.02 * (2 * layers) ** -0.5)
        self.intervals = IntervalHead(hidden_size, intervals) if intervals else None

    def start(self, batch_size: int, condition: Carry | None = None) -> dict[str, Tensor]:
        """Return an empty memory. Raises `ValueError` for a condition."""
        unconditioned("transformer", condition)
        names = [f"{part}_{layer}" for layer in range(len(self.blocks)) for part in ("keys", "values")]
        shape, device = (batch_size, self.memory, self.hidden_size), self.head_bias.device
        empty = {name: torch.zeros(shape, device=device) for name in names}
        return empty | {"filled": torch.zeros(shape[:2], device=device)}

    def forward(self, tokens: Tensor, carry: dict[str, Tensor], context: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return logits (B, T, V), at each token for the one that follows it, and the carry after the last."""
        x = summed(tokens, context, [self.embedding.weight, *self.channels.parameters()])  # (B, T, D)
        x = functional.dropout(x, self.dropout, self.training)
        length, last = tokens.shape[1], slice(-self.memory, None)
        filled = torch.cat([carry["filled"], carry["filled"].new_ones(tokens.shape)], dim=1)  # (B, M + T)
        seen = self._seen(length, filled)
        angles = rotary_angles(0, self.memory + length, self.hidden_size // self.heads, x.device)
        new = {"filled": filled[:, last]}
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            query, key, value = block.parts(x)
            keys, values = (
                torch.cat([carry[f"{name}_{layer}"].to(part.dtype), part], dim=1)  # (B, M + T, D)
                for name, part in (("keys", key), ("values", value))
            )
            x = block.add(x, self._attend(query, keys, values, seen, angles))
            new |= {f"keys_{layer}": keys[:, last].float(), f"values_{layer}": values[:, last].float()}
        x = self.norm(x)
        logits = functional.linear(x, self.embedding.weight, self.head_bias)
        return logits if self.intervals is None else self.intervals(logits, x, context), new

    def _seen(self, length: int, filled: Tensor) -> Tensor:
        """Return the tokens (B, 1, T, M + T) that each of T tokens sees: the last `memory`, itself included."""
        places = torch.arange(self.memory + length, device=filled.device)
        distance = places[self.memory :, None] - places  # (T, M + T)
        return ((distance >= 0) & (distance < self.memory)) & filled.bool()[:, None, None]

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, seen: Tensor, angles: Tensor) -> Tensor:
        """Return what queries (B, T, D) find in keys and values (B, M + T, D): (B, T, D)."""
        q, k, v = (part.view(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in (query, keys, values))
        # (B, H, T, D / H) and (B, H, M + T, D / H)
        q, k = turned(q, angles[-query.shape[1] :]), turned(k, angles)
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Attention to the past, then a feed-forward net of 4 D, each added to the stream."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return queries, keys and values (B, T, D) of a stream x (B, T, D)."""
        normed: Tensor = self.query_key_value(self.norm_1(x))
        return normed.chunk(3, dim=-1)

    def add(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the stream x (B, T, D) with what attention found (B, T, D), and what the net makes of it."""
        x = x + functional.dropout(self.project(found), self.dropout, self.training)
        made = self.narrow(functional.gelu(self.widen(self.norm_2(x)), approximate="tanh"))
        return x + functional.dropout(made, self.dropout, self.training)


def rotary_angles(start: int, length: int, width: int, device: torch.device) -> Tensor:
    """Return by how much each pair of a head's numbers is turned at each position: (T, width / 2)."""
    speeds = ROTARY_BASE ** (-torch.arange(0, width, 2, device=device) / width)
    return torch.arange(start, start + length, device=device)[:, None] * speeds


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Return x (B, H, T, d) with its pairs of numbers, one of either half, turned by angles (T, d / 2)."""
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)

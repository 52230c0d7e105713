"""The masked Transformer: any hidden cells of a grid of voices from all others, past and future, at once.

    cells (T, voices)   x = sum of the voices' cells + place in the bar + length of the bar + style
                        x = x + convolution over five sixteenths, and the same place one and two bars away
                        x = x + attention(x);  x = x + feed-forward(x)     for each layer
                        p(cell of a voice) = softmax(head of that voice)

- absorbing diffusion (Austin et al. 2021, arXiv:2107.03006; of music Plasser, Peter & Widmer 2023, arXiv:2305.09489)
  and an orderless NADE (Coconet, Huang et al. 2017, arXiv:1903.07227) are one and the same training: hide some cells,
  and learn them from those that are left
- all voices of a sixteenth are one state: a quarter of the states that a cell each would need, and what voices do
  together is what feed-forward layers see
- a learned bias for each head and distance in place of positions (T5, arXiv:1910.10683), so that music may stand
  anywhere; root mean square norm before each part (arXiv:1910.07467), squared ReLU (arXiv:2109.08668)

It keeps another contract than the models of `MODELS`, which go from left to right: `model(cells, ground) -> logits`.
`model.in_order` asks the same weights for all cells of a piece from left to right at once, by two streams (XLNet,
arXiv:1906.08237): one knows each sixteenth, the other only what came before it, and what is told of it.
`melody.learning.rewriter_model` trains it, `melody.tokens.rewriter` runs it without torch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

STEM = 5  # sixteenths that the convolution sees
BARS = (-2, -1, 1, 2)  # as far away it sees the same place, where it is asked to: grooves come again bar after bar


class MaskedTransformer(nn.Module):
    """`model(cells (B, T, voices), ground (B, T, G)) -> logits (B, T, voices, values)`."""

    def __init__(
        self,
        voices: int,
        values: int,
        ground_sizes: Sequence[int],
        width: int = 192,
        layers: int = 4,
        heads: int = 6,
        reach: int = 128,
        dropout: float = 0.1,
        sees_bars: bool = False,
    ) -> None:
        """`values` a cell may have; two more stand for what is hidden and for what lies outside the piece."""
        super().__init__()
        self.voices, self.values, self.dropout = voices, values, dropout
        self.away = BARS if sees_bars else ()
        self.cells = nn.Parameter(torch.randn(voices * (values + 2), width) * (0.5 / voices**0.5))
        self.ground = nn.ParameterList(torch.randn(size, width) * 0.25 for size in ground_sizes)
        self.stem = nn.Linear((STEM + len(self.away)) * width, width)
        self.layers = nn.ModuleList(_Layer(width, heads, reach, dropout) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, voices * values)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, cells: Tensor, ground: Tensor) -> Tensor:
        """Logits (B, T, voices, values) of every cell, whether it is hidden or not."""
        x = self._embedded(cells, ground)
        x = x + functional.relu(self.stem(self._neighbours(x, x, x, ground)))
        for layer in self.layers:
            x = layer(x)
        return self._read(x)

    def in_order(self, cells: Tensor, known: Tensor, ground: Tensor) -> Tensor:
        """Logits (B, T, voices, values) of every cell from those before its sixteenth, and of it those in `known`.

        `known` (B, T, voices) is true of the cells that are told of the sixteenth that is asked for.
        """
        count = cells.shape[1]
        hidden = self.values
        nothing, told = self._embedded(torch.full_like(cells, hidden), ground), self._embedded(cells, ground)
        asked = self._embedded(torch.where(known, cells, hidden), ground)
        x = torch.cat(
            [x + functional.relu(self.stem(self._neighbours(told, x, nothing, ground))) for x in (told, asked)], dim=1
        )  # (B, 2T, D)
        step = torch.arange(count, device=cells.device)
        may = torch.cat([step[None] <= step[:, None], step[None] < step[:, None]])  # (2T, T)
        for layer in self.layers:
            x = layer(x, may)
        return self._read(x[:, count:])

    def _embedded(self, cells: Tensor, ground: Tensor) -> Tensor:
        """States (B, T, D) of sixteenths by themselves."""
        offsets = torch.arange(self.voices, device=cells.device) * (self.values + 2)
        x = functional.embedding(cells + offsets, self.cells).sum(dim=2)
        for column, table in enumerate(self.ground):
            x = x + table[ground[..., column]]
        return functional.dropout(x, self.dropout, self.training)

    def _neighbours(self, before: Tensor, x: Tensor, after: Tensor, ground: Tensor) -> Tensor:
        """Each state (B, T, D) beside those near it and bars away (B, T, parts x D); zeros beyond the ends."""
        count, side = x.shape[1], STEM // 2
        padded = [functional.pad(part, (0, 0, side, side)) for part in [before] * side + [x] + [after] * side]
        parts = [part[:, step : step + count] for step, part in enumerate(padded)]
        steps = torch.arange(count, device=x.device)
        for bars in self.away:
            place = steps + bars * ground[..., 1]  # (B, T)
            inside = ((place >= 0) & (place < count))[..., None]
            index = place.clamp(0, count - 1)[..., None].expand_as(x)
            parts.append((before if bars < 0 else after).gather(1, index) * inside)
        return torch.cat(parts, dim=-1)

    def _read(self, x: Tensor) -> Tensor:
        """Logits (B, T, voices, values) of states (B, T, D)."""
        logits: Tensor = self.head(self.norm(x))
        return logits.reshape(*x.shape[:2], self.voices, self.values)


class _Layer(nn.Module):
    """Attention over all sixteenths, and a feed-forward network."""

    def __init__(self, width: int, heads: int, reach: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width {width}, got {heads}")
        self.heads, self.reach, self.dropout = heads, reach, dropout
        self.before, self.between = nn.RMSNorm(width), nn.RMSNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.bias = nn.Parameter(torch.zeros(heads, 2 * reach + 1))
        for linear in (self.out, self.down):
            nn.init.normal_(linear.weight, std=0.02)

    def forward(self, x: Tensor, may: Tensor | None = None) -> Tensor:
        """States (B, T, D); or of two streams (B, 2T, D), which see of the first one what they may (2T, T)."""
        count = x.shape[1] if may is None else may.shape[1]
        q, k, v = self.mix(self.before(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D/H)
        k, v = k[:, :, :count], v[:, :, :count]
        steps = torch.arange(count, device=x.device)
        distance = (steps[None] - steps[:, None]).clamp(-self.reach, self.reach) + self.reach
        bias = self.bias[:, distance].to(q.dtype)  # (H, T, T)
        if may is not None:
            bias = bias.repeat(1, 2, 1).masked_fill(~may, float(torch.finfo(q.dtype).min) / 2)
        weights = torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -0.5 + bias, dim=-1).to(v.dtype)
        if may is not None:
            weights = weights * may  # the first sixteenth has no past
        attended = (weights @ v).transpose(1, 2).flatten(2)
        x = x + functional.dropout(self.out(attended), self.dropout, self.training)
        inner = functional.relu(self.up(self.between(x))) ** 2
        return x + functional.dropout(self.down(inner), self.dropout, self.training)

"""The clockwork LSTM: a residual LSTM of which parts of the state move once a beat, a bar, four bars, and else hold.

After Koutnik et al. 2014 (arXiv:1402.3511), with musical clocks in place of fixed periods (`melody.tokens.clock`):

- each layer has four parts: one moves at every token, the others at the ticks of a beat, a bar, a phrase of four bars
- slower parts feed faster ones and not the other way round (the paper's block-triangular weights); here they do so at
  once, as there is no circle. What a slow part is told of the fast ones comes from the layers below
- between its ticks a part's output stays in the stream, and no gate is computed: over windows a slow part is run over
  its ticks alone
- everything else as in `melody.models.residual_lstm`: embeddings, dropouts, tied head, scores for intervals

    token   . . . . . . . . . . . .     state of 1 - beat - bar - phrase of the width
    beat    |     |     |     |
    bar     |           |
    phrase  |
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from melody.models.carry import Carry, unconditioned
from melody.models.embedding import summed
from melody.models.intervals import IntervalHead, IntervalPlaces

CLOCKS = ("beat", "bar", "phrase")


class ClockPlaces(Protocol):
    """See `melody.tokens.clock.ClockView`."""

    @property
    def columns(self) -> NDArray[np.int64]: ...

    @property
    def bars(self) -> NDArray[np.float32]: ...

    @property
    def beats(self) -> NDArray[np.float32]: ...

    @property
    def phrases(self) -> NDArray[np.float32]: ...


class ClockworkLSTM(nn.Module):
    """`model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)`.

    The carry is a dict in fp32: ``h_0``, ``c_0``, ``h_1`` ... (B, D), the parts side by side from the fastest to the
    slowest, and ``clock`` (B, 2): the beat and the phrase of the token before.
    """

    def __init__(
        self,
        vocabulary_size: int,
        channel_sizes: Sequence[int],
        hidden_size: int = 256,
        layers: int = 3,
        beat: int = 64,
        bar: int = 32,
        phrase: int = 32,
        dropout: float = 0.2,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        channel_dropout: float = 0.0,
        intervals: IntervalPlaces | None = None,
        clock: ClockPlaces | None = None,
    ) -> None:
        """`beat`, `bar` and `phrase` are the units that move with these clocks, the rest move at every token.

        `clock` says when they tick. Raises `ValueError` without it, and where no unit is left for every token.
        """
        super().__init__()
        widths = (hidden_size - beat - bar - phrase, beat, bar, phrase)
        if min(widths) < 1:
            raise ValueError(f"hidden_size {hidden_size} must be larger than beat {beat} + bar {bar} + phrase {phrase}")
        if clock is None:
            raise ValueError("clock: is missing; it follows from the tokens and channels (melody.tokens.clock)")
        self.hidden_size, self.widths = hidden_size, widths
        self.dropout, self.input_dropout = dropout, input_dropout
        self.weight_dropout, self.channel_dropout = weight_dropout, channel_dropout
        self.embedding = nn.Embedding(vocabulary_size, hidden_size)
        self.channels = nn.ModuleList(nn.Embedding(size, hidden_size) for size in channel_sizes)
        self.layers = nn.ModuleList(ClockworkLayer(hidden_size, widths) for _ in range(layers))
        self.head_bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.clock = MusicalClock(clock)
        self.intervals = IntervalHead(hidden_size, intervals) if intervals else None
        nn.init.normal_(self.embedding.weight, std=hidden_size**-0.5)
        for table in self.channels.parameters():
            nn.init.normal_(table, std=0.5 * len(self.channels) ** -0.5)

    def start(self, batch_size: int, condition: Carry | None = None) -> dict[str, Tensor]:
        """Return the carry before the first token of a piece: zeros. Raises `ValueError` for a condition."""
        unconditioned("clockwork_lstm", condition)
        device = self.head_bias.device
        names = [f"{state}_{layer}" for layer in range(len(self.layers)) for state in "hc"]
        carry = {name: torch.zeros(batch_size, self.hidden_size, device=device) for name in names}
        return carry | {"clock": torch.zeros(batch_size, 2, device=device)}

    def forward(self, tokens: Tensor, carry: dict[str, Tensor], context: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, T, V), at each token for the one that follows it, and the carry after the last."""
        ticks, clock = self.clock(tokens.T, context.transpose(0, 1), carry["clock"])
        spans = [Ticks(ticks[..., place]) for place in range(len(CLOCKS))]
        x = self._locked(self._embed(tokens.T, context.transpose(0, 1)), self.input_dropout)  # (T, B, D)
        new = {"clock": clock}
        for number, layer in enumerate(self.layers):
            states = carry[f"h_{number}"], carry[f"c_{number}"]
            y, new[f"h_{number}"], new[f"c_{number}"] = layer(x, *states, spans, self.training and self.weight_dropout)
            x = x + self._locked(y, self.dropout)
        x = x.transpose(0, 1)  # (B, T, D)
        logits = functional.linear(x, self.embedding.weight, self.head_bias)
        return logits if self.intervals is None else self.intervals(logits, x, context), new

    def _embed(self, tokens: Tensor, context: Tensor) -> Tensor:
        """The sum (T, B, D) of the embeddings of tokens (T, B) and channels (T, B, C)."""
        shares = None
        if self.training and self.channel_dropout:  # for each sequence and channel
            shares = functional.dropout(torch.ones_like(context[:1], dtype=torch.float32), self.channel_dropout)
        return summed(tokens, context, [self.embedding.weight, *self.channels.parameters()], shares)

    def _locked(self, x: Tensor, rate: float) -> Tensor:
        """Dropout of x (T, B, D) with one mask for all times."""
        if not (self.training and rate):
            return x
        return x * functional.dropout(torch.ones_like(x[:1]), rate)


class MusicalClock(nn.Module):
    """Ticks of a beat, a bar and a phrase; see `melody.tokens.clock`."""

    bars: Tensor
    beats: Tensor
    phrases: Tensor

    def __init__(self, view: ClockPlaces) -> None:
        super().__init__()
        self.position, self.meter, self.phrase = map(int, view.columns)
        for name in ("bars", "beats", "phrases"):
            self.register_buffer(name, torch.from_numpy(getattr(view, name).copy()), persistent=False)

    def forward(self, tokens: Tensor, context: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Ticks (T, B, 3) at tokens (T, B) with channels (T, B, C) after the clock (B, 2); and the clock after them."""
        bar = self.bars[tokens] > 0
        beat = self.beats[context[..., self.meter], context[..., self.position]]
        now = torch.stack([beat, self.phrases[context[..., self.phrase]]], dim=-1)  # (T, B, 2)
        changed = now != torch.cat([before[None], now[:-1]])
        return torch.stack([changed[..., 0] | bar, bar, changed[..., 1]], dim=-1), now[-1]


class Ticks:
    """Ticks (T, B) of a clock in a window, gathered row by row: a slow part runs over S of them instead of T tokens."""

    def __init__(self, ticks: Tensor) -> None:
        self.latest = ticks.cumsum(0)  # (T, B): how many there were
        self.most = int(self.latest[-1].max())  # S
        self.places = torch.argsort((~ticks).to(torch.uint8), dim=0, stable=True)[: self.most]  # (S, B)
        self.real = torch.arange(self.most, device=ticks.device)[:, None] < self.latest[-1]  # (S, B)

    def gathered(self, x: Tensor) -> Tensor:
        """Return x (T, B, K) at the ticks: (S, B, K); rows of fewer ticks go on with others."""
        return x.gather(0, self.places[:, :, None].expand(-1, -1, x.shape[2]))

    def held(self, states: Tensor) -> Tensor:
        """Return states (1 + S, B, K), the one before the window first, as they stand at each token: (T, B, K)."""
        return states.gather(0, self.latest[:, :, None].expand(-1, -1, states.shape[2]))


class ClockworkLayer(nn.Module):
    """One layer; `parts` hold the weights of an LSTM each, from the fastest to the slowest."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = list(widths)
        slower = [sum(widths[place + 1 :]) for place in range(len(widths))]
        self.parts = nn.ModuleList(nn.LSTM(inputs + more, width) for more, width in zip(slower, widths, strict=True))
        for part in self.parts:
            weight_ih, weight_hh, bias_ih, bias_hh = part.parameters()
            for gate_ih, gate_hh in zip(weight_ih.chunk(4), weight_hh.chunk(4), strict=True):
                nn.init.xavier_uniform_(gate_ih)
                nn.init.orthogonal_(gate_hh)
            nn.init.zeros_(bias_ih)
            nn.init.zeros_(bias_hh)
            nn.init.ones_(bias_ih.chunk(4)[1])

    def forward(
        self, x: Tensor, h: Tensor, c: Tensor, spans: Sequence[Ticks], weight_dropout: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (T, B, D) for x (T, B, D) from the states h and c (B, D), and the states after the last token."""
        hs, cs = (list(torch.split(state, self.widths, 1)) for state in (h, c))
        outputs: list[Tensor] = []
        for place in reversed(range(len(self.widths))):
            weight_ih, recurrent, *biases = self.parts[place].parameters()
            weight_hh = functional.dropout(recurrent, weight_dropout) if weight_dropout else recurrent
            told = torch.cat([x, *outputs], dim=2)
            if place == 0:
                weights: list[Tensor] = [weight_ih, weight_hh, *biases]
                y, after_h, after_c = torch.lstm(
                    told, (hs[0][None], cs[0][None]), weights, True, 1, 0.0, self.training, False, False
                )
                hs[0], cs[0] = after_h[0].float(), after_c[0].float()
            else:
                span = spans[place - 1]
                gates = functional.linear(span.gathered(told), weight_ih, biases[0] + biases[1])  # (S, B, 4 K)
                states, hs[place], cs[place] = _run(gates, hs[place], cs[place], weight_hh, span.real)
                y = span.held(states).to(x.dtype)
            outputs.insert(0, y)
        return torch.cat(outputs, dim=2), torch.cat(hs, 1), torch.cat(cs, 1)


def _run(gates: Tensor, h: Tensor, c: Tensor, weight_hh: Tensor, real: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """States (1 + S, B, K) from h and c (B, K) on, over gates (S, B, 4 K) of the input; not all rows are ticks."""
    states = [h]
    for gate, moves in zip(gates.unbind(0), real[:, :, None].unbind(0), strict=True):
        i, f, g, o = (gate + functional.linear(h, weight_hh)).float().chunk(4, dim=1)
        cell = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h, c = torch.where(moves, torch.sigmoid(o) * torch.tanh(cell), h), torch.where(moves, cell, c)
        states.append(h)
    return torch.stack(states), h, c

"""The encoder-decoder: a bidirectional LSTM reads what is given of a whole piece, a residual LSTM writes the piece.

    given   S: 67 .. .. 69 .. 71 ..  chords, a gap's far side      told (B, S, F), an eighth a step
              <-- encoder -->        residual, several layers      encoded (B, S, 2 E)
              |         |            its ends start the carry      (Sutskever et al. 2014, arXiv:1409.3215)
    decoder   h, c -> token, token   sees the step that it is at   aligned by time, in place of attention

- the condition is ``{"told": (B, S, F)}``, small integers (0 says nothing), F columns as `GivenView` has them; without
  one nothing is told, which is a condition like any other
- composing encodes once, at the start, and a step costs as before; while it learns, each window encodes anew, so that
  every window teaches the encoder and not the first of each piece alone
- where the decoder is follows from its tokens: bar lines add up the lengths of bars, a channel says the place in one
- everything else as in `melody.models.residual_lstm`
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from melody.models.intervals import IntervalPlaces
from melody.models.residual_lstm import ResidualLSTM

OWN = ("told", "encoded", "start", "meter")  # parts of the carry beside the decoder's


class GivenPlaces(Protocol):
    """See `melody.tokens.given.GivenView`."""

    @property
    def sizes(self) -> tuple[int, ...]: ...

    @property
    def columns(self) -> NDArray[np.int64]: ...

    @property
    def bar(self) -> int: ...

    @property
    def lengths(self) -> NDArray[np.int64]: ...

    @property
    def step(self) -> int: ...


class EncoderDecoder(nn.Module):
    """`model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)`.

    The carry is the decoder's, a dict in fp32, and beside it ``told`` (B, S, F), ``encoded`` (B, S, 2 E), and the
    ``start`` of the bar under way, in ticks (B, 1), and its ``meter`` (B, 1).
    """

    def __init__(
        self,
        vocabulary_size: int,
        channel_sizes: Sequence[int],
        hidden_size: int = 256,
        layers: int = 3,
        encoder_size: int = 64,
        encoder_layers: int = 2,
        steps: int = 384,
        dropout: float = 0.2,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        channel_dropout: float = 0.0,
        intervals: IntervalPlaces | None = None,
        given: GivenPlaces | None = None,
    ) -> None:
        """`steps` of a piece are encoded; what stands behind them sees the last one. Raises `ValueError` without
        `given`, which says what is told and where a token stands."""
        super().__init__()
        if given is None:
            raise ValueError("given: is missing; it follows from the tokens and channels (melody.tokens.given)")
        self.steps, self.width = steps, 2 * encoder_size
        self._bar, self._step = given.bar, given.step
        self.decoder = ResidualLSTM(
            vocabulary_size,
            channel_sizes,
            hidden_size,
            layers,
            dropout,
            input_dropout,
            weight_dropout=weight_dropout,
            channel_dropout=channel_dropout,
            intervals=intervals,
        )
        self.told = nn.ModuleList(nn.Embedding(size, self.width) for size in given.sizes)
        self.encoder = nn.ModuleList(
            nn.LSTM(self.width, encoder_size, batch_first=True, bidirectional=True) for _ in range(encoder_layers)
        )
        self.begin = nn.Linear(self.width, 2 * layers * hidden_size)
        self.beside = nn.Linear(self.width, hidden_size, bias=False)
        for table in self.told.parameters():
            nn.init.normal_(table, std=0.5 * len(self.told) ** -0.5)
        nn.init.normal_(self.begin.weight, std=0.02)
        nn.init.zeros_(self.begin.bias)
        for name, array in (("columns", given.columns), ("lengths", given.lengths)):
            self.register_buffer(f"_{name}", torch.from_numpy(np.asarray(array)), persistent=False)

    @property
    def channels(self) -> nn.ModuleList:
        """The tables of the context channels."""
        return self.decoder.channels

    def start(self, batch_size: int, condition: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return the carry before the first token of a piece of which this is told. Raises `ValueError` for others."""
        device = self.begin.bias.device
        told = torch.zeros(batch_size, self.steps, len(self.told), device=device)
        if condition is not None:
            if set(condition) != {"told"} or condition["told"].shape != told.shape:
                raise ValueError(f"model encoder_decoder is told {tuple(told.shape)} numbers, as told; nothing else")
            told = condition["told"].float()
        encoded = self._encode(told)
        half = self.width // 2
        ends = torch.cat([encoded[:, -1, :half], encoded[:, 0, half:]], dim=1)  # (B, 2 E)
        states = self.begin(ends).float().chunk(2 * len(self.decoder.lstms), dim=1)
        nothing = torch.zeros(batch_size, 1, device=device)
        carry = {
            name: torch.tanh(state) if name.startswith("h") else state
            for name, state in zip(self.decoder.start(1), states, strict=True)
        }
        return carry | {"told": told, "encoded": encoded, "start": nothing, "meter": nothing}

    def forward(self, tokens: Tensor, carry: dict[str, Tensor], context: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, T, V), at each token for the one that follows it, and the carry after the last."""
        encoded = self._encode(carry["told"]) if self.training else carry["encoded"]
        steps, start, meter = self._steps(tokens, context, carry)
        seen = encoded.gather(1, steps[:, :, None].expand(-1, -1, self.width))  # (B, T, 2 E)
        own = {name: part for name, part in carry.items() if name not in OWN}
        logits, new = self.decoder(tokens, own, context, self.beside(seen))
        return logits, {**new, "told": carry["told"], "encoded": carry["encoded"], "start": start, "meter": meter}

    def _encode(self, told: Tensor) -> Tensor:
        """The states (B, S, 2 E) of the encoder that has read what is told (B, S, F)."""
        columns = told.long().unbind(dim=2)
        x = torch.stack([table(column) for table, column in zip(self.told, columns, strict=True)]).sum(dim=0)
        for lstm in self.encoder:
            x = x + lstm(x)[0]
        return x.float()

    def _steps(self, tokens: Tensor, context: Tensor, carry: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The step (B, T) at which each token stands; the start of the last bar (B, 1), and its meter (B, 1)."""
        position, meter = (context[:, :, column] for column in self._columns)  # type: ignore[union-attr]
        before = torch.cat([carry["meter"].long(), meter[:, :-1]], dim=1)
        gone = (tokens == self._bar) * self._lengths[before]  # type: ignore[index]
        starts = (carry["start"].long() + gone.cumsum(dim=1)).clamp(max=self.steps * self._step)
        here = (starts + (position - 1).clamp(min=0)) // self._step
        return here.clamp(max=self.steps - 1), starts[:, -1:].float(), meter[:, -1:].float()

"""The planner: a small LSTM at bar rate that draws the plan of a piece, symbol by symbol.

    each bar   x = the symbol before + place in the phrase + bars left + bars so far + bars in all + meter
               h, c = LSTM(x, h, c);  y = h + x
               p(state) = softmax(W y + b)              new, empty, or a lag
               p(likeness | lag) = softmax(V (y + the lag's own embedding) + a)

Its weights stand in a bundle as ``planner.safetensors``; `melody.learning.plan_model` trains them. Here it runs in
numpy: a bar costs some 30 us. Bars up to the first whole one are `first` without being drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.tokens.plan import EMPTY, FIRST, LAGS, LIKES, NEW, UNTOLD, FormPlan, Symbol

WIDTH = 96
PHRASE = 16  # bars
MOST_LEFT, MOST_SO_FAR, MOST_IN_ALL, MOST_BEATS = 9, 15, 65, 12
STATES = 2 + len(LAGS)  # new, empty, the lags
SYMBOLS = 4 + LIKES * len(LAGS)  # as input: untold, new, first, empty, each lag with each likeness

Floats = NDArray[np.float32]
SHAPES: dict[str, tuple[int, ...]] = {
    "symbol": (SYMBOLS, WIDTH),
    "phrase": (PHRASE, WIDTH),
    "left": (1 + MOST_LEFT, WIDTH),
    "so_far": (1 + MOST_SO_FAR, WIDTH),
    "in_all": (1 + MOST_IN_ALL, WIDTH),
    "beats": (1 + MOST_BEATS, WIDTH),
    "unit": (6, WIDTH),
    "lag": (len(LAGS), WIDTH),
    "weight_ih": (4 * WIDTH, WIDTH),
    "weight_hh": (4 * WIDTH, WIDTH),
    "bias": (4 * WIDTH,),
    "state": (STATES, WIDTH),
    "state_bias": (STATES,),
    "like": (LIKES, WIDTH),
    "like_bias": (LIKES,),
    "pickup": (1,),  # the share of pieces that begin with one
}
TABLES = ("symbol", "phrase", "left", "so_far", "in_all", "beats", "unit")  # whose rows make x
_LAG_PLACE = {lag: place for place, lag in enumerate(LAGS)}


def code_of(symbol: Symbol) -> int:
    """A symbol as input."""
    if not symbol.lag:
        return symbol.like
    return 4 + LIKES * _LAG_PLACE[abs(symbol.lag)] + symbol.like - 1


def state_of(symbol: Symbol) -> int:
    """A symbol as output, its likeness apart."""
    return 2 + _LAG_PLACE[abs(symbol.lag)] if symbol.lag else int(symbol == EMPTY)


@dataclass(frozen=True)
class Outline:
    """Facts of a piece before its plan: its pickup (0 or 1), bars in all (None: open) and meter."""

    pickup: int = 0
    bars: int | None = None
    meter: tuple[int, int] = (4, 4)

    def rows(self, before: Symbol, bar: int) -> tuple[int, ...]:
        """The row of each of the `TABLES` for a bar, after the symbol of the one before."""
        return (
            code_of(before),
            (bar - self.pickup) % PHRASE,
            min(max(self.bars - bar, 1), MOST_LEFT) if self.bars is not None else 0,
            min(bar, MOST_SO_FAR),
            min(max(self.bars - self.pickup, 1), MOST_IN_ALL) if self.bars is not None else 0,
            min(self.meter[0], MOST_BEATS),
            min(self.meter[1].bit_length() - 1, 5),
        )


def is_drawn(symbol: Symbol, bar: int, outline: Outline) -> bool:
    """Return True where chance decides on a bar."""
    return bar > outline.pickup and symbol not in (FIRST, UNTOLD)


@dataclass(frozen=True)
class Planner:
    """The weights, see `SHAPES`."""

    weights: Mapping[str, Floats]

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> "Planner":
        """A planner of these weights. Raises `ValueError` where one is missing or of another shape."""
        for name, shape in SHAPES.items():
            if name not in tensors or tensors[name].shape != shape:
                there = list(tensors[name].shape) if name in tensors else "none"
                raise ValueError(f"is no planner: its {name} should be of shape {list(shape)}, there is {there}")
        return cls({name: np.asarray(tensors[name], np.float32) for name in SHAPES})

    @property
    def pickup_share(self) -> float:
        """The share of pieces that begin with a pickup."""
        return float(self.weights["pickup"][0])

    def draw(
        self,
        known: Sequence[Symbol],
        stop: int,
        outline: Outline,
        generator: np.random.Generator | None,
        temperature: float = 1.0,
        reach: Sequence[int] | None = None,
    ) -> FormPlan:
        """The plan of the bars before `stop`; those `known` begin it, and of them the untold ones are drawn.

        Without a generator the likeliest symbols follow. `reach` says how many bars back each bar may refer.
        """
        symbols, reading = list(known[:stop]), _Reading(self, outline)
        for bar in range(stop):
            y = reading.next(symbols[bar - 1] if bar else UNTOLD, bar)
            if bar < len(symbols) and symbols[bar] != UNTOLD:
                continue
            most = bar if reach is None else reach[bar]
            drawn = FIRST if bar <= outline.pickup else self._draw(y, most, generator, temperature)
            symbols[bar : bar + 1] = [drawn]
        return FormPlan(tuple(symbols), outline.pickup)

    def nats(self, symbols: Sequence[Symbol], outline: Outline, start: int = 0) -> list[float]:
        """-ln p of each symbol from bar `start` on; those that are never drawn cost nothing."""
        reading, result = _Reading(self, outline), []
        for bar, symbol in enumerate(symbols):
            y = reading.next(symbols[bar - 1] if bar else UNTOLD, bar)
            if bar >= start:
                result.append(self._nats(y, symbol, bar) if is_drawn(symbol, bar, outline) else 0.0)
        return result

    def states(self, y: Floats, most: int, temperature: float = 1.0) -> NDArray[np.float64]:
        """p (STATES,) of what may follow where no bar more than `most` bars ago can be named."""
        logits = self.weights["state"] @ y + self.weights["state_bias"]
        logits[2:][np.array(LAGS) > most] = -np.inf
        return _softmax(logits / temperature)

    def likes(self, y: Floats, lag: int, temperature: float = 1.0) -> NDArray[np.float64]:
        """p (LIKES,) of how much alike the bar is to the one so many bars ago."""
        own = y + self.weights["lag"][_LAG_PLACE[lag]]
        return _softmax((self.weights["like"] @ own + self.weights["like_bias"]) / temperature)

    def _nats(self, y: Floats, symbol: Symbol, bar: int) -> float:
        p = self.states(y, bar)[state_of(symbol)]
        q = self.likes(y, abs(symbol.lag))[symbol.like - 1] if symbol.lag else 1.0
        return -float(np.log(max(p * q, 1e-9)))

    def _draw(self, y: Floats, most: int, generator: np.random.Generator | None, temperature: float) -> Symbol:
        state = _choose(self.states(y, most, temperature), generator)
        if state < 2:
            return EMPTY if state else NEW
        lag = LAGS[state - 2]
        return Symbol(lag, 1 + _choose(self.likes(y, lag, temperature), generator))


class _Reading:
    """The state of the LSTM on its way through a plan."""

    def __init__(self, planner: Planner, outline: Outline) -> None:
        self.weights, self.outline = planner.weights, outline
        self.h = self.c = np.zeros(WIDTH, np.float32)

    def next(self, before: Symbol, bar: int) -> Floats:
        """Return the distribution of a bar's symbol, after that of the bar before."""
        rows = self.outline.rows(before, bar)
        x = np.sum([self.weights[name][row] for name, row in zip(TABLES, rows, strict=True)], axis=0)
        gates = self.weights["weight_ih"] @ x + self.weights["weight_hh"] @ self.h + self.weights["bias"]
        i, f, g, o = np.split(gates, 4)
        self.c = _sigmoid(f) * self.c + _sigmoid(i) * np.tanh(g)
        self.h = _sigmoid(o) * np.tanh(self.c)
        result: Floats = self.h + x
        return result


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _softmax(logits: Floats) -> NDArray[np.float64]:
    p = np.exp(logits.astype(np.float64) - float(logits.max()))
    return p / float(p.sum())


def _choose(p: Sequence[float] | NDArray[np.float64], generator: np.random.Generator | None) -> int:
    if generator is None:
        return int(np.argmax(p))
    mass = np.cumsum(p)
    return int(min(mass.searchsorted(generator.random() * mass[-1], side="right"), len(mass) - 1))

"""The planner: a small LSTM at bar rate that draws the plan of a piece, symbol by symbol.

    each bar   x = the symbol before + place in the phrase + bars left + bars so far + bars in all + meter
               h, c = LSTM(x, h, c);  y = h + x
               p(state) = softmax(W y + b)              new, empty, or a lag
               p(likeness | lag) = softmax(V (y + the lag's own embedding) + a)

Where each track has its own plan (`FormPlan.tracks`) a bar is drawn track after track. Each has a state of its own, and

    x = as above + the track + mean(what the tracks before it have drawn here) + mean(what those behind it had last)

Tracks that are not in the cast of a piece are silent throughout; from nothing the cast of a training piece is drawn.

Tracks that make harmony together return together: else the bass would play the chords of one bar while the others play
those of another one. A lag weighs less (`APART`) where tracks before it have not the same in both bars. Drums vary
their groove at the ends of phrases (`FILLED`): there they play a fill (`melody.generation.rules.fills`), behind which
they go back. Those of a band leave a groove where fours begin, seldom elsewhere (`LEAVE`). Drums alone have fewer new
bars (`HOLD`) than the LSTM would draw: it stays with them once it has one.

Its weights stand in a bundle as ``planner.safetensors``; `melody.learning.plan_model` trains them. A piece's bars up to
the first whole one are `first` without being drawn; a track's are either that or empty.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.music.tensors import tensors_of
from melody.tokens.plan import EMPTY, FIRST, FOUR, LAGS, LIKES, NEW, UNTOLD, FormPlan, Symbol, is_fill
from melody.tokens.plan_limits import (
    STATES,
    apart_from,
    as_often,
    by_fours,
    falls_silent,
    leaving,
    may_rest,
    not_again,
    over_its_chords,
)
from melody.tokens.small_lstm import WIDTH, SmallLstm

PHRASE = 16  # bars
MOST_LEFT, MOST_SO_FAR, MOST_IN_ALL, MOST_BEATS = 9, 15, 65, 12
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
MOST_TRACKS = 16
MOST_CASTS = 4096  # that are kept
OF_TRACKS: dict[str, tuple[int, ...]] = {  # of a planner that draws a plan for each track, besides
    "track": (MOST_TRACKS, WIDTH),
    "before": (SYMBOLS, WIDTH),  # what a track before it has in this bar
    "behind": (SYMBOLS, WIDTH),  # what one behind it has in the bar before
}
FILLED = {FOUR: 0.05, 2 * FOUR: 0.2}  # shares of fours and eights that end with a fill; of both about .12, of valid .10
LONG_FILL = 0.2  # share of fills that take half a bar, and not a quarter
HOLD = 0.3  # nats: so drawn grooves of drums alone are new as often as those of the corpus
CASTS = "casts"  # (P, MOST_TRACKS): 1 for each track that sounds, of training pieces
TABLES = ("symbol", "phrase", "left", "so_far", "in_all", "beats", "unit")  # whose rows make x
_FIRST = [sum(SHAPES[other][0] for other in TABLES[:place]) for place in range(len(TABLES))]  # row of each
_TRACK = sum(SHAPES[name][0] for name in TABLES)  # row of the first track, below which stand the other tables
_BEFORE, _BEHIND = _TRACK + MOST_TRACKS, _TRACK + MOST_TRACKS + SYMBOLS
_LAGS = np.array(LAGS)
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
    """Return True where chance decides on a bar of a piece."""
    return bar > outline.pickup and symbol not in (FIRST, UNTOLD)


def cast_of(plan: FormPlan) -> tuple[int, ...]:
    """The tracks of a plan that are not silent throughout; of a plan of the piece as a whole the only line."""
    lines = enumerate(plan.tracks or (plan.symbols,))
    return tuple(track for track, line in lines if not plan.tracks or any(symbol != EMPTY for symbol in line))


@dataclass(frozen=True)
class Planner:
    """The weights, see `SHAPES` and `OF_TRACKS`."""

    weights: Mapping[str, Floats]

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> "Planner":
        """A planner of these weights. Raises `ValueError` where one is missing or of another shape."""
        casts = {CASTS: (len(tensors[CASTS]), MOST_TRACKS)} if CASTS in tensors else {}
        found = tensors_of("planner", tensors, SHAPES | (OF_TRACKS | casts if casts else {}))
        if casts and not 0 < len(tensors[CASTS]) <= MOST_CASTS:
            raise ValueError(f"is no planner: its casts should be 1 to {MOST_CASTS}, there are {len(tensors[CASTS])}")
        return cls(found)

    @cached_property
    def _lstm(self) -> SmallLstm:
        """The LSTM with all `TABLES`, one below the other, and those of tracks."""
        names = (*TABLES, *(OF_TRACKS if self.is_of_tracks else ()))
        table = np.concatenate([self.weights[name] for name in names])
        return SmallLstm(table, *(self.weights[name] for name in ("weight_ih", "weight_hh", "bias")))

    @property
    def pickup_share(self) -> float:
        """The share of pieces that begin with a pickup."""
        return float(self.weights["pickup"][0])

    @property
    def is_of_tracks(self) -> bool:
        """True where it draws a plan for each track."""
        return CASTS in self.weights

    def draw_cast(
        self, generator: np.random.Generator | None, tracks: int, needed: Sequence[int] = (), least: int = 0
    ) -> tuple[int, ...]:
        """Return the tracks that sound in a piece from nothing; without a generator those that mostly do.

        They are those of a training piece that has the `needed` ones, and `least` in all, where there is one.
        """
        casts = self.weights[CASTS]
        fits = (casts[:, list(needed)] >= 0.5).all(axis=1) & ((casts[:, :tracks] >= 0.5).sum(axis=1) >= least)
        casts = casts[fits] if fits.any() else casts
        row = casts.mean(axis=0) if generator is None else casts[int(generator.integers(len(casts)))]
        return tuple(np.flatnonzero(row[:tracks] >= 0.5).tolist()) or (0,)

    def draw(
        self,
        known: FormPlan,
        stop: int,
        outline: Outline,
        generator: np.random.Generator | None,
        temperature: float = 1.0,
        reach: Sequence[int] | None = None,
        cast: Collection[int] | None = None,
        awake: Collection[int] = (),
        together: Collection[int] = (),
        chords: Sequence[int] = (),
        hold: float = 0.0,
    ) -> FormPlan:
        """The plan of the bars before `stop`; those `known` begin it, and of them the untold ones are drawn.

        Without a generator the likeliest symbols follow. `reach` says how many bars back each bar may refer. Tracks
        beyond the `cast` (None: all) are silent where nothing is known; those `awake` are not in the first bar drawn,
        and rest no longer than `MOST_REST` bars; somebody of a band always plays, and who plays alone loops no phrase
        for ever. Those `together` make harmony; where the `chords` of bars are known, as numbers, they return to bars
        that have the same, and where one returns the others go over its chords. New bars are by so many nats less
        likely as `hold` says, but for those.
        """
        lines = [list(line[:stop]) for line in known.lines]
        sounding: list[int | None] = [*chords, *[None] * (stop - len(chords))]
        held = np.zeros(STATES, np.float32)
        held[0] = hold
        goals: list[list[int]] = [[] for _ in lines]
        cast = range(len(lines)) if cast is None else cast
        start = {track: [*lines[track], UNTOLD].index(UNTOLD) for track in awake}  # the first bar drawn
        for bar, track, y in self._walk(lines, stop, outline, cast):
            line = lines[track]
            if bar < len(line) and line[bar] != UNTOLD:
                line[bar] = _standing(line, bar, bool(known.tracks))
                goals[track].append(_goal(line[bar], bar, goals[track]))
                continue
            fits = self._fits(line, bar, bar if reach is None else reach[bar], outline, bool(known.tracks))
            if y is None:
                drawn = EMPTY
            elif not known.tracks and bar <= outline.pickup:
                drawn = FIRST
            else:
                if known.tracks:
                    fits[1] = not falls_silent(lines, bar, track, cast)
                    fits[2:] &= ~not_again(goals[track], bar) if len(cast) == 1 else True
                fits[1] &= may_rest(line, bar, start.get(track))
                less: Floats | float = held
                if together:
                    fits &= by_fours(line, bar, bar - outline.pickup, may_rest=bool(fits[1]))
                if track in together:
                    less, over = apart_from([goals[one] for one in together if one < track], bar), np.ones(STATES, bool)
                    over[2:] = over_its_chords(sounding, bar)
                    if bar < len(chords):
                        less = less - temperature * as_often(self.states(y, fits.copy(), temperature, less), over)
                    fits &= over
                elif together and bar and line[bar - 1].lag:
                    less = leaving(bar - outline.pickup)
                drawn = self._draw(y, fits, generator, temperature, less)
                drawn = FIRST if drawn == NEW and bar <= outline.pickup else drawn
            line[bar : bar + 1] = [drawn]
            if track in together and sounding[bar] is None and drawn.is_copy:
                sounding[bar] = sounding[bar - drawn.lag]  # who is drawn first says what the others go over
            goals[track].append(_goal(drawn, bar, goals[track]))
        for track in set(cast) - set(together) if together else ():
            lines[track] = _with_fills(lines[track], known.lines[track], outline.pickup, generator)
        return replace(known, pickup=outline.pickup, ahead={}).with_lines(lines)

    def nats(self, plan: FormPlan, outline: Outline, start: int = 0) -> list[float]:
        """-ln p of each bar from `start` on, over all tracks; what is never drawn costs nothing."""
        lines, result = [list(line) for line in plan.lines], [0.0] * plan.bars
        apart = bool(plan.tracks)
        for bar, track, y in self._walk(lines, plan.bars, outline, cast_of(plan)):
            symbol = plan.of(track, bar)
            if y is None or (symbol == UNTOLD if apart else not is_drawn(symbol, bar, outline)):
                continue
            result[bar] += self._nats(y, symbol, self._fits(lines[track], bar, bar, outline, apart))
        return result[start:]

    def states(
        self, y: Floats, fits: NDArray[np.bool_], temperature: float = 1.0, less: Floats | float = 0.0
    ) -> NDArray[np.float64]:
        """p (STATES,) of what may follow, of the states that fit (STATES,), each by so many nats `less` likely."""
        logits = self.weights["state"] @ y + self.weights["state_bias"] - less
        logits[~fits] = -np.inf
        return _softmax(logits / temperature)

    def likes(self, y: Floats, lag: int, temperature: float = 1.0) -> NDArray[np.float64]:
        """p (LIKES,) of how much alike the bar is to the one so many bars ago."""
        own = y + self.weights["lag"][_LAG_PLACE[lag]]
        return _softmax((self.weights["like"] @ own + self.weights["like_bias"]) / temperature)

    def _fits(self, line: Sequence[Symbol], bar: int, most: int, outline: Outline, apart: bool) -> NDArray[np.bool_]:
        """The states (STATES,) that a bar may have: no lag goes more than `most` bars back, or to a track's silence."""
        fits = np.ones(STATES, bool)
        fits[2:] = (-1 if apart and bar <= outline.pickup else most) >= _LAGS
        if apart:
            fits[2:] &= [lag > bar or line[bar - lag] != EMPTY for lag in LAGS]
        return fits

    def _nats(self, y: Floats, symbol: Symbol, fits: NDArray[np.bool_]) -> float:
        p = self.states(y, fits)[state_of(symbol)]
        q = self.likes(y, abs(symbol.lag))[symbol.like - 1] if symbol.lag else 1.0
        return -float(np.log(max(p * q, 1e-9)))

    def _draw(
        self,
        y: Floats,
        fits: NDArray[np.bool_],
        generator: np.random.Generator | None,
        temperature: float,
        less: Floats | float,
    ) -> Symbol:
        state = _choose(self.states(y, fits, temperature, less), generator)
        if state < 2:
            return EMPTY if state else NEW
        lag = LAGS[state - 2]
        return Symbol(lag, 1 + _choose(self.likes(y, lag, temperature), generator))

    def _walk(
        self, lines: Sequence[Sequence[Symbol]], stop: int, outline: Outline, cast: Collection[int]
    ) -> Iterator[tuple[int, int, Floats | None]]:
        """Each bar and track with the distribution of its symbol (None beyond the cast), as the lines grow."""
        states = {track: self._lstm.begin() for track in cast}
        for bar in range(stop):
            for track in range(len(lines)):
                if track not in states:
                    yield bar, track, None
                    continue
                own = lines[track]
                rows = list(map(add, outline.rows(own[bar - 1] if bar else UNTOLD, bar), _FIRST))
                shares = [1.0] * len(rows)
                if self.is_of_tracks:
                    _add_others(rows, shares, lines, bar, track, states)
                yield bar, track, states[track].next(rows, shares)


def _add_others(
    rows: list[int],
    shares: list[float],
    lines: Sequence[Sequence[Symbol]],
    bar: int,
    track: int,
    cast: Collection[int],
) -> None:
    """Add to the rows of x, and their shares, those of the track and of what others beside it have."""
    rows.append(_TRACK + min(track, MOST_TRACKS - 1))
    shares.append(1.0)
    before = [_BEFORE + code_of(lines[other][bar]) for other in cast if other < track]
    behind = [_BEHIND + code_of(lines[other][bar - 1]) for other in cast if other > track and bar]
    for found in (before, behind):
        rows += found
        shares += [1 / len(found)] * len(found) if found else []


def _goal(symbol: Symbol, bar: int, goals: Sequence[int]) -> int:
    """The first bar that a bar goes back to as a copy, itself where it is none; `goals` are those before it."""
    return goals[bar - symbol.lag] if symbol.is_copy and 0 < symbol.lag <= bar else bar


def _with_fills(
    line: Sequence[Symbol], known: Sequence[Symbol], pickup: int, generator: np.random.Generator | None
) -> list[Symbol]:
    """The drums' plan with fills at some ends of phrases: what else returns as the last of four bars does not vary.

    Behind a fill they go back: a bar that would be as one, or as the one with the crash behind it, is as the bar that
    this one is as. So neither comes twice.
    """
    result = list(line)
    for bar, symbol in enumerate(line):
        if symbol.lag <= 0 or (bar < len(known) and known[bar] != UNTOLD):
            continue
        lag, place = symbol.lag, bar - pickup
        while lag <= bar and result[bar - lag].lag > 0 and _is_at_fill(result, bar - lag, pickup):
            lag += result[bar - lag].lag
        lag = lag if lag in _LAG_PLACE and lag <= bar else symbol.lag
        share = next((FILLED[bars] for bars in sorted(FILLED, reverse=True) if (1 + place) % bars == 0), 0.0)
        chance, length = (1.0, 1.0) if generator is None else generator.random(2)
        like = LIKES if is_fill(symbol, place) else symbol.like
        result[bar] = Symbol(lag, LIKES - 1 - int(length < LONG_FILL) if chance < share else like)
    return result


def _is_at_fill(line: Sequence[Symbol], bar: int, pickup: int) -> bool:
    """Return True for a bar with a fill, and for the one behind it."""
    return any(is_fill(line[one], one - pickup) for one in (bar, bar - 1) if one >= 0)


def _standing(line: Sequence[Symbol], bar: int, apart: bool) -> Symbol:
    """A symbol that is asked for; a track that is to be as in a bar of silence is silent."""
    symbol = line[bar]
    return EMPTY if apart and 0 < symbol.lag <= bar and line[bar - symbol.lag] == EMPTY else symbol


def _softmax(logits: Floats) -> NDArray[np.float64]:
    p = np.exp(logits.astype(np.float64) - float(logits.max()))
    return p / float(p.sum())


def _choose(p: Sequence[float] | NDArray[np.float64], generator: np.random.Generator | None) -> int:
    if generator is None:
        return int(np.argmax(p))
    mass = np.cumsum(p)
    return int(min(mass.searchsorted(generator.random() * mass[-1], side="right"), len(mass) - 1))

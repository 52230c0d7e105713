"""Finding the plan that music has: of the whole piece, or of each track by itself.

Of all plans that explain a piece the best is found by Viterbi's algorithm: bars as alike as can be, few changes of lag.
In a band some line is new in nearly every bar though the groove goes on, so the bars of all tracks together say little
of any; there each track has a plan of its own.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.tokens.plan import (
    EDGES,
    EMPTY,
    FIRST,
    LAGS,
    MOST_LAG,
    NEW,
    PLAIN_LAGS,
    PRIOR,
    UNTOLD,
    Bar,
    FormPlan,
    Key,
    Symbol,
    bars_of,
    by_track,
    key_of,
    like_of,
    tracks_in,
)

# What a change of lag costs, what a new bar is worth, and what following a bar costs that is hardly alike.
SWITCH, NEW_WORTH, UNLIKE = 0.22, 0.42, 0.3
IMPOSSIBLE = -9.0

Similarities = NDArray[np.float32]  # (bars, LAGS): how alike each bar is to the one so many bars ago


def similarities(keys: Sequence[Key], block: int = 512) -> Similarities:
    """Return how alike each bar is to those before it, by lag; 0 where there is none."""
    count = len(keys)
    result = np.zeros((count, len(LAGS)), np.float32)
    sizes = np.array([len(key) for key in keys], np.float32)
    lags = np.array(LAGS)
    for start in range(0, count, block):  # a block of bars against all that its lags reach
        first, stop = max(0, start - MOST_LAG), min(count, start + block)
        held = _incidence(keys[first:stop])
        common = held[start - first :] @ held.T  # (bars of the block, bars reached)
        rows, columns = np.nonzero(np.arange(start, stop)[:, None] >= lags)
        now, then = start + rows, start + rows - lags[columns]
        both = common[rows, then - first]
        union = sizes[now] + sizes[then] - both
        result[now, columns] = np.where(union, both / np.maximum(union, 1), 0.5)
    return result


def _incidence(keys: Sequence[Key]) -> NDArray[np.float32]:
    """Return a table that says which bar (row) holds which feature (column)."""
    bar = np.repeat(np.arange(len(keys)), [len(key) for key in keys])
    held = np.fromiter((one for key in keys for one in key), np.int64, len(bar))
    distinct, column = np.unique(held, return_inverse=True)
    result = np.zeros((len(keys), len(distinct)), np.float32)
    result[bar, column] = 1
    return result


# ---- the plan that a piece has --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The plan found in a piece, and the similarities that it rests on: of the piece, or of each track."""

    plan: FormPlan
    similarities: tuple[Similarities, ...]

    def told(
        self,
        generator: np.random.Generator,
        hide: float,
        cut: float,
        retell: float,
        sounding: Collection[int] | None = None,
    ) -> FormPlan | None:
        """The plan as training tells it: hidden, cut off at some bar, some of its bars by another lag, all truly.

        `hide` and `cut` are shares of pieces, `retell` of bars. Where each track has its own plan, each may also be
        hidden or cut off alone, and those that are not `sounding` (None: all do) are empty.
        """
        if generator.random() < hide:
            return None
        lines = [self._retold(line, generator, retell) for line in range(len(self.similarities))]
        if generator.random() < cut:
            stop = int(generator.integers(self.plan.bars + 1))
            lines = [line[:stop] for line in lines]
        for track in range(len(self.plan.tracks)):
            if sounding is not None and track not in sounding:
                lines[track] = [EMPTY] * len(lines[track])
            if generator.random() < hide:  # half of the time all of it
                length = len(lines[track])
                del lines[track][max(0, int(generator.integers(-length, length + 1))) :]
        return self.plan.with_lines(lines)

    def _retold(self, line: int, generator: np.random.Generator, retell: float) -> list[Symbol]:
        symbols, alike = list(self.plan.lines[line]), self.similarities[line]
        again = generator.random(len(symbols)) < retell
        for bar in np.flatnonzero(again).tolist():
            lag = PLAIN_LAGS[int(generator.integers(len(PLAIN_LAGS)))]
            if symbols[bar] not in (FIRST, EMPTY) and lag <= bar:
                like = like_of(float(alike[bar, LAGS.index(lag)]))
                symbols[bar] = Symbol(lag, like) if like else symbols[bar]
        return symbols


def plan_of_piece(ids: Iterable[int], tracks: Collection[int] | None = None, apart: bool = False) -> Found:
    """The plan of a piece, or of some of its tracks; or of each of its tracks `apart`."""
    ids = list(ids)
    bars, pickup = bars_of(ids)
    return plan_of_tracks(bars, pickup, tracks_in(ids)) if apart else plan_of_bars(bars, pickup, tracks)


def plan_of_bars(bars: Sequence[Bar], pickup: int, tracks: Collection[int] | None = None) -> Found:
    """The plan of bars, or of some of their tracks."""
    keys = [key_of(bar, tracks) for bar in bars]
    alike = similarities(keys)
    path = _best_path(_gains(alike, keys, pickup))
    symbols = [_symbol(bar, state, alike, keys, pickup) for bar, state in enumerate(path)]
    return Found(FormPlan(tuple(symbols), pickup), (alike,))


def plan_of_tracks(bars: Sequence[Bar], pickup: int, count: int) -> Found:
    """The plans of so many tracks, each found in its own notes alone; its first bars may be empty, too."""
    lines, found = [], []
    for own in zip(*(by_track(bar, count) for bar in bars), strict=True):
        one = plan_of_bars(own, pickup)
        lines.append(tuple(symbol if bar else EMPTY for symbol, bar in zip(one.plan.symbols, own, strict=True)))
        found.append(one.similarities[0])
    return Found(FormPlan((), pickup, tracks=tuple(lines)), tuple(found))


def plan_around(bars: Sequence[Bar], pickup: int, gap: range) -> FormPlan:
    """The plan of bars of which those of a gap are not known: what goes on from one side to the other names them.

    A bar behind the gap that would be as one in it says of that one what it is to be. The others stay untold.
    """
    ahead = {bar: tuple(bars[bar]) for bar in range(gap.stop, len(bars))}
    return FormPlan(tuple(_symbols_around(bars, pickup, gap)), pickup, ahead)


def plan_of_tracks_around(bars: Sequence[Bar], pickup: int, gap: range, count: int, known: Collection[int]) -> FormPlan:
    """The plans of so many tracks; of all but those `known` the bars of a gap are not known."""
    lines = []
    for track, own in enumerate(zip(*(by_track(bar, count) for bar in bars), strict=True)):
        found = plan_of_bars(own, pickup).plan.symbols if track in known else _symbols_around(own, pickup, gap)
        if track not in known:  # a track begins where its plan is drawn to, a piece with its first bar
            found = [UNTOLD if bar in gap and one == FIRST else one for bar, one in enumerate(found)]
        unknown = range(0) if track in known else gap
        lines.append(tuple(one if own[bar] or bar in unknown else EMPTY for bar, one in enumerate(found)))
    return FormPlan((), pickup, {bar: bars[bar] for bar in range(gap.stop, len(bars))}, tuple(lines))


def _symbols_around(bars: Sequence[Bar], pickup: int, gap: range) -> list[Symbol]:
    keys = [key_of(bar) for bar in bars]
    alike = similarities(keys)
    gain = _gains(alike, keys, pickup)
    back = np.arange(len(bars))[:, None] - np.array(LAGS)  # the bar that each state names
    into = (back >= gap.start) & (back < gap.stop)
    alike[into] = 0
    gain[:, 1:][into] = NEW_WORTH
    gain[gap.start : gap.stop] = np.where(gain[gap.start : gap.stop] == IMPOSSIBLE, IMPOSSIBLE, NEW_WORTH)
    path = _best_path(gain)
    symbols = [_symbol(bar, state, alike, keys, pickup) for bar, state in enumerate(path)]
    for bar in gap:
        symbols[bar] = FIRST if bar <= pickup else UNTOLD
    for bar, state in enumerate(path[gap.stop :], gap.stop):
        if state and bar - LAGS[state - 1] in gap:
            lag = LAGS[state - 1]
            near = [symbols[one].like for one in range(gap.stop, len(bars)) if symbols[one].lag == lag]
            if near and bar - lag > pickup and keys[bar]:
                symbols[bar - lag] = Symbol(-lag, max(set(near), key=near.count))
    return symbols


def _symbol(bar: int, state: int, alike: Similarities, keys: Sequence[Key], pickup: int) -> Symbol:
    """The symbol of a bar in a state of the best path."""
    if bar <= pickup:
        return FIRST
    if not keys[bar]:
        return EMPTY
    like = like_of(float(alike[bar, state - 1])) if state else 0
    return Symbol(LAGS[state - 1], like) if like else NEW


def _gains(alike: Similarities, keys: Sequence[Key], pickup: int) -> NDArray[np.float32]:
    """Return the worth of each state, new or a lag, in each bar (bars, 1 + LAGS)."""
    follows = alike + np.array(PRIOR, np.float32) - UNLIKE * (alike < EDGES[0])
    gain = np.concatenate([np.full((len(keys), 1), NEW_WORTH, np.float32), follows], axis=1)
    bar = np.arange(len(keys))
    gain[[not key for key in keys]] = NEW_WORTH  # says nothing
    gain[:, 1:][bar[:, None] < np.array(LAGS)] = IMPOSSIBLE
    gain[: 1 + pickup, 1:] = IMPOSSIBLE
    return gain


def _best_path(gain: NDArray[np.float32]) -> list[int]:
    """The states (0 new, 1 + place of a lag) of the greatest sum of gains, less `SWITCH` for each change (Viterbi)."""
    bars, states = gain.shape
    if not bars:
        return []
    score, back, same = gain[0].copy(), np.zeros((bars, states), np.int64), np.arange(states)
    for bar in range(1, bars):
        best = int(score.argmax())
        changed = score[best] - SWITCH
        stays = score >= changed
        back[bar] = np.where(stays, same, best)
        score = np.maximum(score, changed) + gain[bar]
    path = [int(score.argmax())]
    for bar in range(bars - 1, 0, -1):
        path.append(int(back[bar, path[-1]]))
    return path[::-1]

"""Limits of a plan that is drawn, and what makes some of its states likelier or less than the LSTM has them.

Who has to play, how often a lone player may say the same, over which chords, and with whom.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from melody.tokens.plan import EMPTY, FOUR, LAGS, Symbol

MOST_REST = 4  # bars, of a track that is to go on
MOST_SAID, RIFF = 3, 8  # times in a row that a lone player says a phrase; bars, where that is more

LEAVE = 0.5  # nats: where fours begin so much likelier, elsewhere less; the LSTM hardly knows where they begin
APART = 1.8  # nats: so drawn bands are together as often as those of the corpus
STATES = 2 + len(LAGS)  # of a bar: new, empty, the lags

Floats = NDArray[np.float32]
_RESTED = [EMPTY] * MOST_REST


def may_rest(line: Sequence[Symbol], bar: int, start: int | None) -> bool:
    """Return False where a track that is to go on from bar `start` on (None: is free to rest) has to play."""
    return start is None or (bar != start and line[max(0, bar - MOST_REST) : bar] != _RESTED)


def by_fours(line: Sequence[Symbol], bar: int, place: int, may_rest: bool) -> NDArray[np.bool_]:
    """The states (STATES,) that a band's track may have, which begins and ends its rests with fours."""
    states = np.ones(STATES, bool)
    states[1] = may_rest and not plays_on(line, bar, place)
    if states[1] and rests_on(line, bar, place):
        states[:1] = states[2:] = False
    return states


def rests_on(line: Sequence[Symbol], bar: int, place: int) -> bool:
    """Return True where a band's track rests on: one that played for four bars rests to the end of the four."""
    since = next((ago for ago, symbol in enumerate(reversed(line[:bar])) if symbol != EMPTY), bar)
    return place % FOUR > 0 and since > 0 and _has_played(line, bar - since)


def plays_on(line: Sequence[Symbol], bar: int, place: int) -> bool:
    """Return True where a band's track plays on: one that played for four bars begins to rest where a four begins.

    Of bars behind four in which a track of a band plays it begins to rest in .015, half of the time in the first or
    second of eight, and mostly until a four ends; in .003 for a bar alone (42,672 bars of train).
    """
    return place % FOUR > 0 and _has_played(line, bar)


def _has_played(line: Sequence[Symbol], bar: int) -> bool:
    """Return True for a track that has played in the four bars before."""
    before = line[max(0, bar - FOUR) : bar]
    return len(before) == FOUR and EMPTY not in before


def falls_silent(lines: Sequence[Sequence[Symbol]], bar: int, track: int, cast: Collection[int]) -> bool:
    """Return True where nobody of a cast would play, were this track, the last of them, silent too."""
    return track == max(cast) and all(lines[one][bar] == EMPTY for one in cast if one != track)


def not_again(goals: Sequence[int], bar: int) -> NDArray[np.bool_]:
    """The lags (LAGS,) that bring what a lone player has just said often enough, at even distances.

    `goals` are the bars that those before `bar` go back to.
    """

    def is_said(lag: int) -> bool:
        if lag > bar:
            return False
        ago = next(one for one in range(1, 1 + lag) if goals[bar - one] == goals[bar - lag])
        times = max(MOST_SAID, RIFF // ago)
        return ago * times <= bar and all(goals[bar - ago * time] == goals[bar - lag] for time in range(1, 1 + times))

    return np.array([is_said(lag) for lag in LAGS])


def over_its_chords(chords: Sequence[int | None], bar: int) -> NDArray[np.bool_]:
    """The lags (LAGS,) that go back to no bar with other chords than this one; `chords` has a number for each known."""
    own = chords[bar]
    return np.array([own is None or lag > bar or chords[bar - lag] in (None, own) for lag in LAGS])


def as_often(p: NDArray[np.float64], over: NDArray[np.bool_]) -> Floats:
    """Nats by which the states (STATES,) that stay are likelier, so that a track returns as often as by p (STATES,).

    Without them the lags that go `over` other chords would leave their share to bars that are new.
    """
    nats = np.zeros(STATES, np.float32)
    share = p[2:][over[2:]].sum()
    if share > 0:
        nats[2:] = np.log(p[2:].sum() / share)
    return nats


def apart_from(others: Sequence[Sequence[int]], bar: int) -> Floats | float:
    """Nats by which each lag (STATES,) is less likely, by the `goals` of tracks that have been drawn here.

    Of those that return here the share counts that had something else so many bars ago.
    """
    returning = [goals for goals in others if goals[bar] != bar]
    if not returning:
        return 0.0
    less = np.zeros(STATES, np.float32)
    for place, lag in enumerate(LAGS[: int(np.searchsorted(LAGS, bar, side="right"))]):
        less[2 + place] = APART * sum(goals[bar - lag] != goals[bar] for goals in returning) / len(returning)
    return less


def leaving(place: int) -> Floats:
    """Nats by which each state (STATES,) is less likely for a band's drums, so many bars into it, in a groove.

    In train a groove that returned in the last bar is left in .069 and .041 of first and fifth bars of eight, in .02 of
    the others but the last.
    """
    less = np.zeros(STATES, np.float32)
    less[0] = LEAVE if place % FOUR else -LEAVE
    return less

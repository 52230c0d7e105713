"""The plan of a piece: of each bar whether it is new, or as which bar it is, and how much alike.

    bar     0     1    2    3    4   5   6    7        folk tune of eight bars, whose second half repeats the first
    symbol  first new  new  new  4=  4=  new  new

A bar's key is the set of its (onset, track, pitch), velocity apart and drum onsets to the nearest sixteenth; two bars
are as alike as the Jaccard index of their keys. A symbol names a bar by its lag, the bars between the two, and a class
of likeness. Of all plans that explain a piece the best is found by Viterbi's algorithm: bars as alike as can be, few
changes of lag. The first bars and those in which nothing begins have symbols of their own: `new` elsewhere means that
a bar departs from what was before.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.errors import UsageError
from melody.music.score import GRID, bar_length
from melody.tokens.vocabulary import MAX_DURATION, METERS, event_vocabulary

LAGS = (*range(1, 33), 40, 48, 56, 64)  # bars
MOST_LAG = LAGS[-1]
EDGES = (0.35, 0.55, 0.75, 0.95)  # of likeness: below the first a bar is new
LIKES = len(EDGES)
SIXTEENTH = GRID // 4
RETOLD_BY = (1, 2, 4, 8, 16, 32)  # lags by which training may tell a bar instead

# What a change of lag costs, what lags that are no power of two cost (those of whole fours half), what a new bar is
# worth, and what following a bar costs that is hardly alike.
SWITCH, ODD, NEW_WORTH, UNLIKE = 0.22, 0.10, 0.42, 0.3
IMPOSSIBLE = -9.0
_PRIOR = np.array([0 if lag in RETOLD_BY else -ODD / 2 if lag % 4 == 0 else -ODD for lag in LAGS], np.float32)
PRIOR = _PRIOR.tolist()

Event = tuple[int, int, int, int, int]  # place in the bar (ticks), track, hit, velocity (bin), duration (ticks)
Bar = tuple[Event, ...]  # in order; a hit is a pitch (0..127) or 128 + a drum
Key = frozenset[int]
Similarities = NDArray[np.float32]  # (bars, LAGS): how alike each bar is to the one so many bars ago


class Symbol(NamedTuple):
    """Plan of a bar: to be as the one `lag` bars ago, in class 1 to `LIKES`; with lag 0 see below."""

    lag: int
    like: int

    @property
    def is_copy(self) -> bool:
        """Return True where the bar is planned to be much like another."""
        return self.lag != 0 and self.like >= LIKES - 1


UNTOLD, NEW, FIRST, EMPTY = (Symbol(0, kind) for kind in range(4))
_NAMES = {UNTOLD: "?", NEW: "new", FIRST: "first", EMPTY: "empty"}
_SIGNS = "-~+="  # of the classes of likeness


@dataclass(frozen=True)
class FormPlan:
    """The symbols of a piece, one a bar; past their end nothing is told. Phrases count from bar `pickup` (0 or 1).

    `ahead` are bars that stand already where the piece has not come yet: a symbol with a lag below 0 names one of them.
    """

    symbols: tuple[Symbol, ...] = ()
    pickup: int = 0
    ahead: Mapping[int, Bar] = field(default_factory=dict)

    def __getitem__(self, bar: int) -> Symbol:
        return self.symbols[bar] if 0 <= bar < len(self.symbols) else UNTOLD


# ---- bars and how alike they are ------------------------------------------------------------------------------------

_KINDS = ("Bar", "Position", "Track", "Velocity", "Pitch", "Drum", "Sustain", "Duration", "TimeSignature")
BAR, POSITION, TRACK, VELOCITY, PITCH, DRUM, SUSTAIN, DURATION, METER = range(1, 1 + len(_KINDS))
DRUM_HIT = 128  # the first hit that is a drum


def _tables() -> tuple[list[int], list[int]]:
    """The kind of each token (0: any other), and its value among those of its kind; of drums as a hit."""
    ids = event_vocabulary().ids
    kinds, values = np.zeros((2, max(span.stop for span in ids.values())), np.int64)
    for number, kind in enumerate(_KINDS, 1):
        span = ids[kind]
        kinds[span.start : span.stop] = number
        values[span.start : span.stop] = np.arange(len(span)) + (DRUM_HIT if kind == "Drum" else 0)
    return kinds.tolist(), values.tolist()


KIND_OF, VALUE_OF = _tables()
BAR_TICKS = [int(bar_length(*meter, GRID)) for meter in METERS]


def bars_of(ids: Iterable[int]) -> tuple[list[Bar], int]:
    """The bars of a piece, and 1 where the first one is a pickup, else 0."""
    bars: list[list[Event]] = []
    lengths: list[int] = []
    place = track = hit = held = length = 0
    velocity: dict[int, int] = {}
    for token in ids:
        kind, value = KIND_OF[token], VALUE_OF[token]
        if kind == DURATION:
            bars[-1].append((place, track, hit, velocity.get(track, 0), held + value + 1))
            held = 0
        elif kind in (PITCH, DRUM):
            hit = value
        elif kind == POSITION:
            place = value
        elif kind == VELOCITY:
            velocity[track] = value
        elif kind == TRACK:
            track = value
        elif kind == SUSTAIN:
            held += MAX_DURATION
        elif kind == BAR:
            bars.append([])
            lengths.append(length)
        elif kind == METER:
            length = lengths[-1] = BAR_TICKS[value]
    found = [tuple(bar) for bar in bars]
    return found, int(len(found) > 1 and is_pickup(found[0], lengths[0], lengths[1]))


def meter_of(ids: Iterable[int], pickup: int) -> tuple[int, int]:
    """The meter of the first whole bar; 4/4 where there is none."""
    bar, meter = -1, (4, 4)
    for token in ids:
        kind = KIND_OF[token]
        bar += kind == BAR
        if bar > pickup:
            break
        if kind == METER:
            meter = METERS[VALUE_OF[token]]
    return meter


def is_pickup(first: Bar, ticks: int, next_ticks: int) -> bool:
    """Return True where a first bar is a pickup: it is shorter than the next, or begins in its second half."""
    return ticks < next_ticks or (bool(first) and 2 * first[0][0] >= ticks)


def key_of(bar: Bar, tracks: Collection[int] | None = None) -> Key:
    """Return the features of a bar, or of some of its tracks: onset, track and hit, each as one number."""
    return frozenset(
        (((place + SIXTEENTH // 2) // SIXTEENTH if hit >= DRUM_HIT else place) * 32 + track) * 256 + hit
        for place, track, hit, _, _ in bar
        if tracks is None or track in tracks
    )


def likeness(a: Key, b: Key) -> float:
    """The Jaccard index of two bars; of two empty ones a half, which says nothing."""
    if a and b:
        both = len(a & b)
        return both / (len(a) + len(b) - both)
    return 0.0 if a or b else 0.5


def like_of(value: float) -> int:
    """The class of a likeness; 0 is new."""
    return (value >= EDGES[0]) + (value >= EDGES[1]) + (value >= EDGES[2]) + (value >= EDGES[3])


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
    """The plan found in a piece, and the similarities that it rests on."""

    plan: FormPlan
    similarities: Similarities

    def told(self, generator: np.random.Generator, hide: float, cut: float, retell: float) -> FormPlan | None:
        """The plan as training tells it: hidden, cut off at some bar, some of its bars by another lag, all truly.

        `hide` and `cut` are shares of pieces, `retell` of bars.
        """
        if generator.random() < hide:
            return None
        symbols = list(self.plan.symbols)
        again = generator.random(len(symbols)) < retell
        for bar in np.flatnonzero(again).tolist():
            lag = RETOLD_BY[int(generator.integers(len(RETOLD_BY)))]
            if symbols[bar] not in (FIRST, EMPTY) and lag <= bar:
                like = like_of(float(self.similarities[bar, LAGS.index(lag)]))
                symbols[bar] = Symbol(lag, like) if like else symbols[bar]
        if generator.random() < cut:
            del symbols[int(generator.integers(len(symbols) + 1)) :]
        return FormPlan(tuple(symbols), self.plan.pickup)


def plan_of_piece(ids: Iterable[int], tracks: Collection[int] | None = None) -> Found:
    """The plan of a piece, or of some of its tracks."""
    bars, pickup = bars_of(ids)
    return plan_of_bars(bars, pickup, tracks)


def plan_of_bars(bars: Sequence[Bar], pickup: int, tracks: Collection[int] | None = None) -> Found:
    """The plan of bars, or of some of their tracks."""
    keys = [key_of(bar, tracks) for bar in bars]
    alike = similarities(keys)
    path = _best_path(_gains(alike, keys, pickup))
    symbols = [_symbol(bar, state, alike, keys, pickup) for bar, state in enumerate(path)]
    return Found(FormPlan(tuple(symbols), pickup), alike)


def plan_around(bars: Sequence[Bar], pickup: int, gap: range) -> FormPlan:
    """The plan of bars of which those of a gap are not known: what goes on from one side to the other names them.

    A bar behind the gap that would be as one in it says of that one what it is to be. The others stay untold.
    """
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
    ahead = {bar: tuple(bars[bar]) for bar in range(gap.stop, len(bars))}
    return FormPlan(tuple(symbols), pickup, ahead)


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
    follows = alike + _PRIOR - UNLIKE * (alike < EDGES[0])
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


# ---- as text, and as letters ----------------------------------------------------------------------------------------


def spelled(symbols: Sequence[Symbol]) -> str:
    """Symbols as text: ``first new new new 4= 4= new new``."""
    return " ".join(_NAMES[one] if one in _NAMES else f"{one.lag}{_SIGNS[one.like - 1]}" for one in symbols)


def unspelled(text: str) -> tuple[Symbol, ...]:
    """The symbols of a text that `spelled` wrote. Raises `ValueError` for any other."""
    return tuple(_symbol_of(word) for word in text.split())


def _symbol_of(word: str) -> Symbol:
    for symbol, name in _NAMES.items():
        if word == name:
            return symbol
    sign = _SIGNS.find(word[-1:])
    if sign < 0 or not word[:-1].lstrip("-").isdecimal() or int(word[:-1]) == 0:
        raise ValueError(f"{word!r} is no symbol of a plan")
    return Symbol(int(word[:-1]), 1 + sign)


class Section(NamedTuple):
    """A section that is asked for: those of one letter are alike, and how much."""

    letter: str
    like: int


def parse_form(text: str) -> tuple[Section, ...]:
    """The sections of a form such as ``AABA`` or ``ABA'B``; a stroke means varied. Raises `UsageError`."""
    if not re.fullmatch(r"(?:[A-Z]'?){1,64}", text):
        raise UsageError(f"form {text[:70]!r}: write a letter for each section, as AABA, or AABA' for a varied return")
    return tuple(Section(one[0], LIKES - len(one) + 1) for one in re.findall(r"[A-Z]'?", text))


def letters_of(plan: FormPlan, section: int = 8) -> list[tuple[int, str]]:
    """The sections of so many bars, as (first bar, letter); those of one letter mostly hold the same bars."""
    kinds: list[int] = []  # of each bar the first one that it goes back to
    for bar, symbol in enumerate(plan.symbols):
        source = bar - symbol.lag
        kinds.append(kinds[source] if symbol.lag > 0 and symbol.like > 1 and source >= 0 else bar)
    result: list[tuple[int, str]] = []
    names: list[tuple[list[int], str]] = []
    for start in range(plan.pickup, len(kinds), section):
        own = kinds[start : start + section]
        alike = (name for other, name in names if 2 * sum(map(eq, own, other)) >= len(own))
        name = next(alike, None)
        if name is None:
            name = letter(len(names))
            names.append((own, name))
        result.append((start, name))
    return result


def letter(number: int) -> str:
    """A for 0, Z for 25, then A2 and so on."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 26] + (str(1 + number // 26) if number > 25 else "")

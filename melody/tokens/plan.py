"""The plan of a piece: of each bar whether it is new, or as which bar it is, and how much alike.

    bar     0     1    2    3    4   5   6    7        folk tune of eight bars, whose second half repeats the first
    symbol  first new  new  new  4=  4=  new  new

A bar's key is the set of its (onset, track, pitch), velocity apart and drum onsets to the nearest sixteenth; two bars
are as alike as the Jaccard index of their keys. A symbol names a bar by its lag, the bars between the two, and a class
of likeness. The first bars and those in which nothing begins have symbols of their own: `new` elsewhere means that
a bar departs from what was before. A piece has one plan, or one for each of its tracks, which then go their own ways;
`melody.tokens.plan_finding` finds it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from melody.errors import UsageError
from melody.music.score import GRID, bar_length
from melody.tokens.vocabulary import MAX_DURATION, METERS, event_vocabulary

LAGS = (*range(1, 33), 40, 48, 56, 64)  # bars
MOST_LAG = LAGS[-1]
EDGES = (0.35, 0.55, 0.75, 0.95)  # of likeness: below the first a bar is new
LIKES = len(EDGES)
SIXTEENTH = GRID // 4
PLAIN_LAGS = (1, 2, 4, 8, 16, 32)
ODD = 0.10  # cost of other lags; those of whole fours cost half of it
_PRIOR = [0 if lag in PLAIN_LAGS else -ODD / 2 if lag % 4 == 0 else -ODD for lag in LAGS]
PRIOR: list[float] = np.array(_PRIOR, np.float32).tolist()

Event = tuple[int, int, int, int, int]  # place in the bar (ticks), track, hit, velocity (bin), duration (ticks)
Bar = tuple[Event, ...]  # in order; a hit is a pitch (0..127) or 128 + a drum
Key = frozenset[int]


class Symbol(NamedTuple):
    """Plan of a bar: to be as the one `lag` bars ago, in class 1 to `LIKES`; with lag 0 see below."""

    lag: int
    like: int

    @property
    def is_copy(self) -> bool:
        """Return True where the bar is planned to be much like another."""
        return self.lag != 0 and self.like >= LIKES - 1


UNTOLD, NEW, FIRST, EMPTY = (Symbol(0, kind) for kind in range(4))
FOUR = 4  # bars, whose last one may have a fill
_NAMES = {UNTOLD: "?", NEW: "new", FIRST: "first", EMPTY: "empty"}
_SIGNS = "-~+="  # of the classes of likeness


@dataclass(frozen=True)
class FormPlan:
    """The symbols of a piece, one a bar; past their end nothing is told. Phrases count from bar `pickup` (0 or 1).

    Where each track has its own plan, `tracks` holds the symbols of each by its number, and `symbols` none. `ahead` are
    bars that stand already where the piece has not come yet: a symbol with a lag below 0 names one of them.
    """

    symbols: tuple[Symbol, ...] = ()
    pickup: int = 0
    ahead: Mapping[int, Bar] = field(default_factory=dict)
    tracks: tuple[tuple[Symbol, ...], ...] = ()

    def __getitem__(self, bar: int) -> Symbol:
        return self.symbols[bar] if 0 <= bar < len(self.symbols) else UNTOLD

    def of(self, track: int, bar: int) -> Symbol:
        """Return the symbol of a track's bar: the piece's, where the tracks have no plans of their own."""
        if not self.tracks:
            return self[bar]
        own = self.tracks[track] if track < len(self.tracks) else ()
        return own[bar] if 0 <= bar < len(own) else UNTOLD

    @property
    def lines(self) -> tuple[tuple[Symbol, ...], ...]:
        """The symbols of each track, or those of the piece alone."""
        return self.tracks or (self.symbols,)

    @property
    def bars(self) -> int:
        """Number of bars that are planned."""
        return max(map(len, self.lines))

    def with_lines(self, lines: Sequence[Sequence[Symbol]]) -> "FormPlan":
        """Return the plan with other symbols, for as many tracks as before."""
        known = tuple(tuple(line) for line in lines)
        return replace(self, tracks=known) if self.tracks else replace(self, symbols=known[0])


def is_fill(symbol: Symbol, bar: int) -> bool:
    """Return True for the last of four bars, counted from the first whole one, where drums vary one of before."""
    return bar % FOUR == FOUR - 1 and symbol.lag > 0 and symbol.like in (LIKES - 2, LIKES - 1)


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


def tracks_in(ids: Iterable[int]) -> int:
    """Number of tracks that the header of a piece names."""
    count = 0
    for token in ids:
        if KIND_OF[token] == BAR:
            break
        count += KIND_OF[token] == TRACK
    return count


def tracks_with_notes(ids: Iterable[int]) -> frozenset[int]:
    """The tracks of a piece that are not silent throughout."""
    bar, found = -1, set()
    for token in ids:
        bar += KIND_OF[token] == BAR
        if bar >= 0 and KIND_OF[token] == TRACK:
            found.add(VALUE_OF[token])
    return frozenset(found)


def by_track(bar: Bar, count: int) -> list[Bar]:
    """Return the events of a bar, those of each track apart."""
    parts: list[list[Event]] = [[] for _ in range(count)]
    for event in bar:
        parts[event[1]].append(event)
    return [tuple(part) for part in parts]


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
    """The sections of so many bars, as (first bar, letter); those of one letter mostly hold the same bars.

    Where each track has its own plan, the bars of all tracks count that are not empty.
    """
    sources = [_sources(line) for line in plan.lines]
    result: list[tuple[int, str]] = []
    names: list[tuple[list[list[int]], str]] = []
    for start in range(plan.pickup, plan.bars, section):
        own = [line[start : start + section] for line in sources]
        alike = (name for other, name in names if _mostly_same(own, other))
        name = next(alike, None)
        if name is None:
            name = letter(len(names))
            names.append((own, name))
        result.append((start, name))
    return result


def _sources(symbols: Sequence[Symbol]) -> list[int]:
    """Return for each bar the first one that it goes back to; -1 for an empty one."""
    found: list[int] = []
    for bar, symbol in enumerate(symbols):
        source = bar - symbol.lag
        goes_back = symbol.lag > 0 and symbol.like > 1 and source >= 0
        found.append(found[source] if goes_back else -1 if symbol == EMPTY else bar)
    return found


def _mostly_same(own: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> bool:
    pairs = [pair for line, beside in zip(own, other, strict=True) for pair in zip(line, beside, strict=False)]
    counted = [pair for pair in pairs if pair != (-1, -1)] or pairs
    return 2 * sum(a == b for a, b in counted) >= len(counted)


def letter(number: int) -> str:
    """A for 0, Z for 25, then A2 and so on."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 26] + (str(1 + number // 26) if number > 25 else "")

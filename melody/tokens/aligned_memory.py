"""Aligned memory: what stood at this place in the bar that is planned, and in the bar that the last ones went by.

Two references stand beside each token. The *planned* bar is the one that the plan names (`melody.tokens.plan`). The
*usual* bar is the one so many bars ago by which the last bars are explained best; it needs no plan. Of each the model
is told the next event that has not been played yet, so that a bar can be written out again, or varied, at sight:

    place   where it stands in the bar, or that nothing more does      wait   ticks until then
    hit     its pitch or drum                                          loud   its velocity
    long    how long the note just begun lasted there                  kept   the share of this bar that follows so far
    sure    how many bars one, two, three lags further back have it    louder   its velocity less the running one

A copy of a copy would drift, bar by bar. `sure` and mean velocities hold it: what most of these bars have and the
latest one has not is told too. Everything follows from the past; beyond `KEEP` bars it is forgotten.
"""

from array import array
from collections.abc import Iterable, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID
from melody.tokens import plan as p
from melody.tokens.plan import EDGES, LAGS, LIKES, MOST_LAG, PRIOR, UNTOLD, Bar, FormPlan, Key
from melody.tokens.vocabulary import MAX_DURATION

KEEP = 2 * MOST_LAG  # bars that are remembered
PHRASE = 16  # bars
MOST_LEFT = 8  # bars for which the same lag goes on, at most
TOLERANCE = 2  # ticks by which an event may come earlier or later and be the same
FAR = 48  # ticks from which on a wait is long
LOUDER = 12  # bins of velocity, at most
FADING = 0.5  # of what a bar says of the next one's lag
FURTHER = 3  # bars beyond the reference, by the same lag, that are asked
BAR_END = 1 + 12 * GRID  # as a place: nothing more stands there
END_WAIT = 2 + TOLERANCE + FAR
MISSING = 16  # in `sure`: the reference itself has it not

_SLOT = {
    "place": BAR_END,
    "wait": END_WAIT,
    "hit": 256,
    "loud": 32,
    "long": MAX_DURATION,
    "kept": 7,
    "sure": 31,
    "louder": 1 + 2 * LOUDER,
}
_TOLD = 4  # a symbol's channel: 0 untold, then new, first, empty, and the lags
_SIZES = {
    "phrase": PHRASE,
    "form_lag": _TOLD + len(LAGS) - 1,
    "form_like": LIKES,
    "form_left": MOST_LEFT,
    "same_lag": len(LAGS),
    "same_like": LIKES,
}
SIZES: dict[str, int] = {  # of the channels in their order
    name: 1 + most
    for name, most in (
        _SIZES
        | {f"planned_{name}": most for name, most in _SLOT.items()}
        | {f"usual_{name}": most for name, most in _SLOT.items()}
    ).items()
}
NAMES = tuple(SIZES)
OF_PLAN = tuple(name for name in NAMES if name.startswith(("form_", "planned_")))
OF_MEMORY = tuple(name for name in NAMES if name.startswith(("same_", "planned_", "usual_")))
_PLANNED, _USUAL = NAMES.index("planned_place"), NAMES.index("usual_place")
_WIDTH = len(NAMES)
_LAG_PLACE = {lag: place for place, lag in enumerate(LAGS)}

Recalled = tuple[int, int, int, int, int, int]  # an event and how sure it is
Slot = tuple[tuple[Recalled, ...], int, int, int]  # what is left of the reference; kept, lost, length of the one told


class AlignedMemory:
    """The bars read so far; `context` are the values of the channels `NAMES` after the last token.

    What a copy of it shares with it is never changed in place, so that copying costs next to nothing.
    """

    __slots__ = (
        "bars",
        "context",
        "count",
        "first_ticks",
        "held",
        "hit",
        "keys",
        "now",
        "order",
        "pickup",
        "place",
        "plan",
        "planned",
        "scores",
        "ticks",
        "track",
        "usual",
        "velocity",
    )

    def __init__(self, plan: FormPlan | None = None) -> None:
        self.plan = plan
        self.pickup = -1 if plan is None else plan.pickup  # -1: not known yet
        self.bars: tuple[Bar, ...] = ()  # the last ones that are complete, up to `KEEP`
        self.keys: tuple[Key, ...] = ()
        self.count = -1  # number of the bar under way, from 0
        self.now: Bar = ()  # its events
        self.ticks = self.first_ticks = 0  # length of this bar, and of the first
        self.place = self.track = self.hit = self.held = 0
        self.order = -1  # the last hit of this track at this place
        self.velocity: tuple[int, ...] = (0,) * 4  # running, by track
        self.scores: tuple[float, ...] = (0.0,) * len(LAGS)  # how well each lag has explained the last bars
        self.planned: Slot | None = None
        self.usual: Slot | None = None
        self.context = [0] * _WIDTH

    def copy(self) -> "AlignedMemory":
        """An independent memory of the same bars."""
        result = copy(self)
        result.context = self.context.copy()
        return result

    def replan(self, plan: FormPlan | None) -> None:
        """Let another plan hold from the next bar line on."""
        self.plan = plan
        if plan is not None and self.count < 0:
            self.pickup = plan.pickup

    def read(self, token: int) -> None:
        """Take the next token."""
        kind = p.KIND_OF[token]
        if kind == p.DURATION:
            duration, self.held = self.held + p.VALUE_OF[token] + 1, 0
            self.now += ((self.place, self.track, self.hit, self.velocity[self.track], duration),)
            self._tell(0)
        elif kind in (p.PITCH, p.DRUM):
            self.hit = self.order = p.VALUE_OF[token]
            if self.planned is not None:
                self.planned = self._followed(self.planned)
            if self.usual is not None:
                self.usual = self._followed(self.usual)
            self._tell(1)
        elif kind == p.POSITION:
            self._move(p.VALUE_OF[token])
        elif kind == p.VELOCITY:
            before, own = self.velocity, self.track
            self.velocity = (*before[:own], p.VALUE_OF[token], *before[own + 1 :])
            self._tell(0)
        elif kind == p.TRACK:
            if self.count >= 0:
                self.track, self.order = p.VALUE_OF[token], -1
                self.velocity += (0,) * (1 + self.track - len(self.velocity))
                self._tell(0)
        elif kind == p.SUSTAIN:
            self.held += MAX_DURATION
        elif kind == p.BAR:
            self._begin_bar()
        elif kind == p.METER:
            self._take_meter(p.BAR_TICKS[p.VALUE_OF[token]])

    # ---- bar lines --------------------------------------------------------------------------------------------------

    def _begin_bar(self) -> None:
        if self.count >= 0:
            self._end_bar()
        self.count += 1
        if self.count == 1 and self.pickup < 0:
            self.pickup = int(p.is_pickup(self.bars[0], self.first_ticks, self.ticks))
        self.now, self.place, self.order = (), 0, -1
        self._tell_phrase()
        self._tell_plan()
        self._tell_usual()
        self._tell(0)

    def _end_bar(self) -> None:
        key = p.key_of(self.now)
        self.bars = (*self.bars[1 - KEEP :], self.now)
        self.keys = (*self.keys[1 - KEEP :], key)
        number = self.count
        self.scores = tuple(
            FADING * score + (1 - FADING) * p.likeness(key, self.keys[-1 - lag]) if lag <= number else score
            for lag, score in zip(LAGS, self.scores, strict=True)
        )

    def _take_meter(self, ticks: int) -> None:
        if self.count == 0:
            self.first_ticks = ticks
        elif self.count == 1 and self.plan is None and self.first_ticks < ticks:
            self.pickup = 1
            self._tell_phrase()
        self.ticks = ticks

    def _tell_phrase(self) -> None:
        self.context[0] = 1 + (self.count - self.pickup) % PHRASE if self.pickup >= 0 else 0

    def _tell_plan(self) -> None:
        symbol = self.plan[self.count] if self.plan is not None else UNTOLD
        context, lag = self.context, symbol.lag
        self.planned = None
        if symbol == UNTOLD or self.plan is None:
            context[1] = context[2] = context[3] = 0
            return
        context[1] = _TOLD + _LAG_PLACE[abs(lag)] if lag else symbol.like
        context[2] = symbol.like if lag else 0
        context[3] = 1
        while context[3] < MOST_LEFT and self.plan[self.count + context[3]].lag == lag:
            if not lag and self.plan[self.count + context[3]] != symbol:
                break
            context[3] += 1
        if lag:
            self.planned = self._recall(lag) if lag > 0 else self._foresee(self.count - lag)

    def _tell_usual(self) -> None:
        number, best, place = self.count, -1.0, -1
        for at, (lag, score, prior) in enumerate(zip(LAGS, self.scores, PRIOR, strict=True)):
            if lag > number:
                break
            if score + prior > best:
                best, place = score + prior, at
        if place < 0:
            self.usual = None
            return
        self.context[4], self.context[5] = 1 + place, p.like_of(self.scores[place])
        lag = LAGS[place]
        symbol = self.plan[number] if self.plan is not None else UNTOLD
        self.usual = self.planned if symbol.lag == lag else self._recall(lag)

    def _recall(self, lag: int) -> Slot | None:
        """The bar so many bars ago as a reference; None where it is not remembered."""
        if not 0 < lag <= len(self.bars):
            return None
        return agreed(self.bars, self.keys, lag), 0, 0, 0

    def _foresee(self, bar: int) -> Slot | None:
        """A bar that stands where the piece has not come yet, as a reference."""
        events = self.plan.ahead.get(bar) if self.plan is not None else None
        return None if events is None else (tuple((*event, 0) for event in events), 0, 0, 0)

    # ---- within a bar -----------------------------------------------------------------------------------------------

    def _move(self, place: int) -> None:
        self.place, self.order = place, -1
        if self.planned is not None:
            self.planned = _passed(self.planned, place)
        if self.usual is not None:
            self.usual = _passed(self.usual, place)
        self._tell(0)

    def _followed(self, slot: Slot) -> Slot:
        """A reference after the hit just read, which is taken out where it stands there at this place."""
        events, kept, lost, _ = slot
        hit, track, latest = self.hit, self.track, self.place + TOLERANCE
        for at, event in enumerate(events):
            if event[0] > latest:
                break
            if event[2] == hit and event[1] == track:
                return events[:at] + events[at + 1 :], kept + 1, lost, min(event[4], MAX_DURATION)
        return events, kept, lost, 0

    def _tell(self, playing: int) -> None:
        """Write the channels of both references; `playing` where a note has just begun."""
        done = len(self.now) + playing
        self._tell_slot(_PLANNED, self.planned, playing, done)
        self._tell_slot(_USUAL, self.usual, playing, done)

    def _tell_slot(self, at: int, slot: Slot | None, playing: int, done: int) -> None:
        context = self.context
        if slot is None:
            if context[at]:
                context[at : at + 8] = (0, 0, 0, 0, 0, 0, 0, 0)
            return
        events, kept, lost, length = slot
        place, track, order = self.place, self.track, self.order
        total = done + lost
        share = 2 + min(5, 6 * kept // total) if total else 1
        for event in events:
            onset, of, hit, loud, _, sure = event
            if onset > place or order < 0 or of > track or (of == track and hit > order):
                far, running = onset - place, self.velocity[of] if of < len(self.velocity) else 0
                more = loud - running
                context[at : at + 8] = (
                    1 + onset,
                    1 + TOLERANCE + (far if far < FAR else FAR),
                    1 + hit,
                    1 + loud,
                    length if playing else 0,
                    share,
                    1 + sure,
                    1 + LOUDER + (LOUDER if more > LOUDER else -LOUDER if more < -LOUDER else more),
                )
                return
        context[at : at + 8] = (BAR_END, END_WAIT, 0, 0, length if playing else 0, share, 0, 0)


def _passed(slot: Slot, place: int) -> Slot:
    """A reference without the events that should have come before this place."""
    events = slot[0]
    gone = 0
    while gone < len(events) and events[gone][0] < place - TOLERANCE:
        gone += 1
    return (events[gone:], slot[1], slot[2] + gone, slot[3]) if gone else slot


def agreed(bars: Sequence[Bar], keys: Sequence[Key], lag: int) -> tuple[Recalled, ...]:
    """The events of the bar so many bars ago, and what those before it by the same lag that are like it say of them.

    Each event has how many of these there are and how many have it, and the mean of their velocities; where two or
    more of them agree on an event that the bar itself has not, it is there too.
    """
    reference, key = bars[-lag], keys[-lag]
    others = [
        bars[-further]
        for further in range(2 * lag, (1 + FURTHER) * lag + 1, lag)
        if further <= len(bars) and (not key or p.likeness(key, keys[-further]) >= EDGES[0])
    ]
    count = len(others)
    if not count:
        return tuple((*event, 0) for event in reference)
    places: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for number, other in enumerate(others):
        for place, track, hit, loud, duration in other:
            places.setdefault((track, hit), []).append((place, number, loud, duration))
    result: list[Recalled] = []
    for place, track, hit, loud, duration in reference:
        found = {n: v for at, n, v, _ in reversed(places.get((track, hit), [])) if abs(place - at) <= TOLERANCE}
        mean = (loud + sum(found.values()) + (len(found) + 1) // 2) // (1 + len(found))
        result.append((place, track, hit, mean, duration, 4 * count + len(found)))
    if count > 1:
        result += _missed(reference, places, count)
        result.sort()
    return tuple(result)


def _missed(
    reference: Bar, places: dict[tuple[int, int], list[tuple[int, int, int, int]]], count: int
) -> list[Recalled]:
    """The events that at least two of the other bars agree on and the reference has not."""
    result: list[Recalled] = []
    own: dict[tuple[int, int], list[int]] = {}
    for place, track, hit, _, _ in reference:
        own.setdefault((track, hit), []).append(place)
    for (track, hit), near in places.items():
        if len(near) < 2:
            continue
        there = own.get((track, hit), [])
        for place, _, loud, duration in near:
            if any(abs(place - at) <= TOLERANCE + 1 for at in there):
                continue
            agree = len({number for at, number, _, _ in near if abs(place - at) <= TOLERANCE})
            if agree >= 2:
                there = [*there, place]
                result.append((place, track, hit, loud, duration, MISSING + 4 * count + agree - 1))
    return result


def remembered(ids: Iterable[int], plan: FormPlan | None) -> NDArray[np.int16]:
    """The channels (T, `NAMES`) after each of the ids (T,)."""
    memory, rows = AlignedMemory(plan), array("h")
    context = memory.context
    for token in ids:
        memory.read(token)
        rows.extend(context)
    return np.array(rows, np.int16).reshape(-1, _WIDTH) if rows else np.zeros((0, _WIDTH), np.int16)

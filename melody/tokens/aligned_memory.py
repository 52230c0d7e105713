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

A model that is told the channels `PARTS` has a plan for each track, and remembers each apart: the planned bar is then
that of every track, each by its own lag, in order of events; so is the usual one. Their `form_*` and `same_*` are those
of the track under way (the last Track token's). Beside them stand, for the first tracks, `part_n`: what this bar of
track n is planned to be (1 new, 2 first, 3 empty, 3 + class of likeness; 0 untold); and `lowest` and `highest`: the
pitches between which the track under way has moved so far (1 + pitch; 0: none).
"""

from array import array
from collections.abc import Iterable, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID
from melody.tokens import plan as p
from melody.tokens.plan import LAGS, LIKES, MOST_LAG, PRIOR, Bar, FormPlan, Key, Symbol
from melody.tokens.references import TOLERANCE, Recalled, Slot, agreed, merged, passed
from melody.tokens.vocabulary import MAX_DURATION

KEEP = 2 * MOST_LAG  # bars that are remembered
PHRASE = 16  # bars
MOST_LEFT = 8  # bars for which the same lag goes on, at most
FAR = 48  # ticks from which on a wait is long
LOUDER = 12  # bins of velocity, at most
FADING = 0.5  # of what a bar says of the next one's lag
BAR_END = 1 + 12 * GRID  # as a place: nothing more stands there
END_WAIT = 2 + TOLERANCE + FAR

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
OF_TRACK = {"lowest": 1 + 128, "highest": 1 + 128}
OF_PART = 1 + 3 + LIKES  # values of `part_n`
OF_PLAN = tuple(name for name in NAMES if name.startswith(("form_", "planned_")))
OF_MEMORY = (*(name for name in NAMES if name.startswith(("same_", "planned_", "usual_"))), *OF_TRACK)
_PLANNED, _USUAL = NAMES.index("planned_place"), NAMES.index("usual_place")
_WIDTH = len(NAMES)
_LOWEST = _WIDTH
_PARTS = _WIDTH + len(OF_TRACK)
_LAG_PLACE = {lag: place for place, lag in enumerate(LAGS)}

_NO_SCORES = (0.0,) * len(LAGS)
_NOTHING_TOLD = (0,) * 5
_NO_RANGE = (128, -1)


def part_sizes(voices: int) -> dict[str, int]:
    """The sizes of the channels `PARTS` of so many tracks, in their order."""
    return OF_TRACK | {f"part_{voice}": OF_PART for voice in range(voices)}


class AlignedMemory:
    """The bars read so far; `context` are the values of the channels `NAMES` after the last token.

    With `voices` each track is remembered apart, and the channels `part_sizes` of so many stand behind the others. What
    a copy of it shares with it is never changed in place, so that copying costs next to nothing.
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
        "ranges",
        "scores",
        "ticks",
        "told",
        "track",
        "usual",
        "velocity",
        "voices",
    )

    def __init__(self, plan: FormPlan | None = None, voices: int = 0) -> None:
        self.plan = plan
        self.voices = voices
        self.pickup = -1 if plan is None else plan.pickup  # -1: not known yet
        # Of each part, that is each track where they are remembered apart, or else all of them together:
        self.bars: tuple[tuple[Bar, ...], ...] = ((),)  # the last ones that are complete, up to `KEEP`
        self.keys: tuple[tuple[Key, ...], ...] = ((),)
        self.scores: tuple[tuple[float, ...], ...] = (_NO_SCORES,)  # how well each lag has explained the last bars
        self.told: tuple[tuple[int, ...], ...] = (_NOTHING_TOLD,)  # its `form_*` and `same_*` in this bar
        self.ranges: tuple[tuple[int, int], ...] = (_NO_RANGE,)  # its lowest and highest pitch
        self.count = -1  # number of the bar under way, from 0
        self.now: Bar = ()  # its events
        self.ticks = self.first_ticks = 0  # length of this bar, and of the first
        self.place = self.track = self.hit = self.held = 0
        self.order = -1  # the last hit of this track at this place
        self.velocity: tuple[int, ...] = (0,) * 4  # running, by track
        self.planned: Slot | None = None
        self.usual: Slot | None = None
        self.context = [0] * (_PARTS + voices if voices else _WIDTH)

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
            if self.voices and kind == p.PITCH:
                self._widen()
            self._tell(1)
        elif kind == p.POSITION:
            self._move(p.VALUE_OF[token])
        elif kind == p.VELOCITY:
            before, own = self.velocity, self.track
            self.velocity = (*before[:own], p.VALUE_OF[token], *before[own + 1 :])
            self._tell(0)
        elif kind == p.TRACK:
            self._take_track(p.VALUE_OF[token])
        elif kind == p.SUSTAIN:
            self.held += MAX_DURATION
        elif kind == p.BAR:
            self._begin_bar()
        elif kind == p.METER:
            self._take_meter(p.BAR_TICKS[p.VALUE_OF[token]])

    # ---- tracks -----------------------------------------------------------------------------------------------------

    def _take_track(self, track: int) -> None:
        more = 1 + track - len(self.bars) if self.voices else 0
        if more > 0:
            complete = len(self.bars[0])
            self.bars += (((),) * complete,) * more
            self.keys += ((frozenset(),) * complete,) * more
            self.scores += (_NO_SCORES,) * more
            self.told += (_NOTHING_TOLD,) * more
            self.ranges += (_NO_RANGE,) * more
        if self.count >= 0:  # not in the header
            self.track, self.order = track, -1
            self.velocity += (0,) * (1 + track - len(self.velocity))
            self._tell_track()
            self._tell(0)

    def _widen(self) -> None:
        own, (lowest, highest) = self.track, self.ranges[self.track]
        if not lowest <= self.hit <= highest:
            wider = min(lowest, self.hit), max(highest, self.hit)
            self.ranges = (*self.ranges[:own], wider, *self.ranges[own + 1 :])
            self._tell_range(wider)

    def _tell_track(self) -> None:
        """Write what is told of the track under way, or of the piece."""
        if not self.voices:
            self.context[1:6] = self.told[0]
            return
        self.context[1:6] = self.told[self.track]
        self._tell_range(self.ranges[self.track])

    def _tell_range(self, range_: tuple[int, int]) -> None:
        lowest, highest = range_
        self.context[_LOWEST:_PARTS] = (1 + lowest, 1 + highest) if lowest <= highest else (0, 0)

    # ---- bar lines --------------------------------------------------------------------------------------------------

    def _begin_bar(self) -> None:
        if self.count >= 0:
            self._end_bar()
        self.count += 1
        if self.count == 1 and self.pickup < 0:
            self.pickup = int(p.is_pickup(_together(self.bars), self.first_ticks, self.ticks))
        self.now, self.place, self.order = (), 0, -1
        self._tell_phrase()
        self._plan_bar()
        self._tell_track()
        self._tell(0)

    def _end_bar(self) -> None:
        parts = p.by_track(self.now, len(self.bars)) if self.voices else [self.now]
        keys = [p.key_of(part) for part in parts]
        self.bars = tuple((*own[1 - KEEP :], part) for own, part in zip(self.bars, parts, strict=True))
        self.keys = tuple((*own[1 - KEEP :], key) for own, key in zip(self.keys, keys, strict=True))
        self.scores = tuple(self._scored(scores, own) for scores, own in zip(self.scores, self.keys, strict=True))

    def _scored(self, scores: tuple[float, ...], keys: tuple[Key, ...]) -> tuple[float, ...]:
        key, number = keys[-1], self.count
        return tuple(
            FADING * score + (1 - FADING) * p.likeness(key, keys[-1 - lag]) if lag <= number else score
            for lag, score in zip(LAGS, scores, strict=True)
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

    def _plan_bar(self) -> None:
        """Find what this bar is planned as, and what is usual, in each part."""
        planned: list[tuple[Recalled, ...]] = []
        usual: list[tuple[Recalled, ...]] = []
        told = []
        for part in range(len(self.bars)):
            symbol = self._symbol(part, self.count)
            reference = self._reference(part, symbol)
            planned += [] if reference is None else [reference]
            lag, *same = self._usual_lag(part)
            again = reference if lag == symbol.lag else self._recall(part, lag)
            usual += [] if again is None else [again]
            told.append((*self._planned_of(part, symbol), *same))
            if part < self.voices:
                self.context[_PARTS + part] = 3 + symbol.like if symbol.lag else symbol.like
        self.told = tuple(told)
        self.planned, self.usual = merged(planned), merged(usual)

    def _symbol(self, part: int, bar: int) -> Symbol:
        if self.plan is None:
            return p.UNTOLD
        return self.plan.of(part, bar) if self.voices else self.plan[bar]

    def _planned_of(self, part: int, symbol: Symbol) -> tuple[int, int, int]:
        """The channels `form_*` of a part."""
        if symbol == p.UNTOLD:
            return 0, 0, 0
        lag, left = symbol.lag, 1
        while left < MOST_LEFT:
            later = self._symbol(part, self.count + left)
            if later.lag != lag or (not lag and later != symbol):
                break
            left += 1
        return (_TOLD + _LAG_PLACE[abs(lag)], symbol.like, left) if lag else (symbol.like, 0, left)

    def _usual_lag(self, part: int) -> tuple[int, int, int]:
        """The lag by which the last bars of a part are explained best (0: none yet), and its channels `same_*`."""
        number, best, place, scores = self.count, -1.0, -1, self.scores[part]
        for at, (lag, score, prior) in enumerate(zip(LAGS, scores, PRIOR, strict=True)):
            if lag > number:
                break
            if score + prior > best:
                best, place = score + prior, at
        return (LAGS[place], 1 + place, p.like_of(scores[place])) if place >= 0 else (0, 0, 0)

    def _reference(self, part: int, symbol: Symbol) -> tuple[Recalled, ...] | None:
        """The bar that a symbol names, if any."""
        if symbol.lag >= 0 or self.plan is None:
            return self._recall(part, symbol.lag)
        events = self.plan.ahead.get(self.count - symbol.lag)  # it stands where the piece has not come yet
        if events is None:
            return None
        return tuple((*event, 0) for event in events if not self.voices or event[1] == part)

    def _recall(self, part: int, lag: int) -> tuple[Recalled, ...] | None:
        """The bar so many bars ago; None where it is not remembered."""
        bars = self.bars[part]
        return agreed(bars, self.keys[part], lag) if 0 < lag <= len(bars) else None

    # ---- within a bar -----------------------------------------------------------------------------------------------

    def _move(self, place: int) -> None:
        self.place, self.order = place, -1
        if self.planned is not None:
            self.planned = passed(self.planned, place)
        if self.usual is not None:
            self.usual = passed(self.usual, place)
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


def _together(bars: Sequence[Sequence[Bar]]) -> Bar:
    """The last bar of all parts."""
    return tuple(sorted(event for part in bars for event in part[-1]))


def remembered(ids: Iterable[int], plan: FormPlan | None, voices: int = 0) -> NDArray[np.int16]:
    """The channels (T, `NAMES`, and those of so many voices) after each of the ids (T,)."""
    memory, rows = AlignedMemory(plan, voices), array("h")
    context = memory.context
    for token in ids:
        memory.read(token)
        rows.extend(context)
    return np.array(rows, np.int16).reshape(-1, len(context))

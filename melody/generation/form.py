"""The plan of a take: that of the primer's bars, and what is drawn, or asked for, for the new ones.

Each take draws its own from its seed and number, before its notes. The primer's bars are planned as training plans a
piece, or each of its tracks; around a gap the bars on both sides count, and a bar to fill may be planned as one that
comes later. A track that sounds in the last bars before the new ones goes on in the first of them.

Where a contour is asked for, several plans are drawn, and the one is taken that brings bars back where the line does.
Where a band goes on for eight bars or more and all of its tracks would play bars of before throughout, the plan is
drawn again: a musician can loop an idea without us.

    fill 5-6 of     A B C D  ?  ?  A B C D E F       bars 7 to 10 go on with lag 6, so 5 and 6 are as bars 11 and 12
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from melody.bundle import Bundle
from melody.errors import UsageError
from melody.generation.chorus import Steps, chorus_of, steps_by_bar
from melody.generation.model_choice import is_band
from melody.generation.region import DEFAULT_METER, Region
from melody.generation.seeds import Seed
from melody.generation.settings import AS_PRIMER, Settings
from melody.generation.told import contour_told
from melody.music.chords import OCTAVE, Span
from melody.tokens.harmony import Rate, harmony_of, steps_of_bar
from melody.tokens.plan import (
    EMPTY,
    FIRST,
    LAGS,
    LIKES,
    NEW,
    UNTOLD,
    Bar,
    FormPlan,
    Section,
    Symbol,
    bars_of,
    parse_form,
)
from melody.tokens.plan_finding import plan_around, plan_of_bars, plan_of_tracks, plan_of_tracks_around
from melody.tokens.planner import HOLD, Outline, Planner

if TYPE_CHECKING:
    from melody.generation.primer.primer_view import PrimerView


AWAKE = 4  # bars before the new ones: what sounds in them goes on
RHYTHM = ("drums", "bass")  # roles that a band from nothing begins with, and with others, `BEGIN` in all
BEGIN = 4
FITTING = 32  # plans among which is chosen where a contour is asked for
MOVES_ON, AGAIN = 8, 16  # bars from which on a band does so; times that its plan is drawn again
FAR = 1.0  # levels of a contour from which on bars had better not be alike


@dataclass(frozen=True)
class Form:
    """The known part of a plan, and the planner that draws the rest."""

    planner: Planner
    known: FormPlan  # of the bars before the new ones, of those that are asked for, and of those behind them
    stop: int  # bar before which the new ones end
    bars: int | None  # of the piece, where it ends with them
    meter: tuple[int, int]
    reach: tuple[int, ...] | None = None  # how many bars back a bar may refer; None: to the first one
    pickup_drawn: bool = False  # whether chance decides on a pickup
    cast: frozenset[int] | None = None  # the tracks that may sound; None: chance decides on them
    awake: frozenset[int] = frozenset()  # those that sound in the first new bar
    ends_anew: bool = False  # the last bar is drawn to be no copy, so that it can close as its style asks
    loops_on: bool = False  # the last bar is as the one that returned before it: it goes round, where it cannot close
    rhythm: tuple[int, ...] = ()  # those of a band that begin it from nothing
    together: frozenset[int] = frozenset()  # those of a band that make harmony
    chords: tuple[int, ...] = ()  # of bars that stand, of tracks beside which others are added, too: a number for each
    moves_on: int | None = None  # the bar from which on not all may be as before
    levels: tuple[float, ...] = ()  # of the contour asked for, in each bar
    hold: float = 0.0  # nats by which new bars are less likely

    def draw(self, seed: Seed | None) -> FormPlan:
        """The plan of a take; without a seed the likeliest one."""
        generator = None if seed is None else seed.generator_of_plan()
        pickup = self.known.pickup
        if self.pickup_drawn and generator is not None:
            pickup = int(generator.random() < self.planner.pickup_share)
        more = pickup if self.pickup_drawn else 0  # it is no bar of those asked for
        outline = Outline(pickup, None if self.bars is None else self.bars + more, self.meter)
        cast, awake = self.cast, self.awake
        if cast is None and self.known.tracks:
            least = BEGIN if self.rhythm else 0
            drawn_cast = self.planner.draw_cast(generator, len(self.known.tracks), self.rhythm, least)
            cast, awake = frozenset(drawn_cast), self._beginning(drawn_cast, generator)
        options: dict[str, Any] = {"reach": self.reach, "cast": cast, "awake": awake, "together": self.together}
        options |= {"chords": self.chords, "hold": self.hold}
        tries = 1 if generator is None else FITTING if self.levels else 1 + AGAIN
        plans = (self.planner.draw(self.known, self.stop + more, outline, generator, **options) for _ in range(tries))
        drawn = min(plans, key=self._misfit) if self.levels else next(plans)
        if self._only_returns(drawn):
            drawn = next((plan for plan in plans if not self._only_returns(plan)), drawn)
        behind = [line[self.stop :] for line in self.known.lines]
        new: Sequence[Sequence[Symbol]] = drawn.lines
        if self.ends_anew:  # a piece from nothing may begin with a pickup, and then has a bar more
            new = [_ended(line, known, self.stop - 1) for line, known in zip(new, self.known.lines, strict=True)]
        elif self.loops_on:
            new = [self._going_round(track, line) for track, line in enumerate(new)]
        lines = [(*line, *rest) for line, rest in zip(new, behind, strict=True)]
        return replace(drawn.with_lines(lines), ahead=self.known.ahead)

    def _only_returns(self, plan: FormPlan) -> bool:
        """Return True for a band that should move on, where all tracks play bars of before throughout, or rest."""
        if self.moves_on is None:
            return False
        new = (symbol for line in plan.lines for symbol in line[self.moves_on : self.stop - 1])  # the last one closes
        return all(symbol == EMPTY or (symbol.lag > 0 and symbol.like == LIKES) for symbol in new)

    def _going_round(self, track: int, line: Sequence[Symbol]) -> Sequence[Symbol]:
        """The plan of a track that goes round, but for one whose last bar would return to a bar of other chords."""
        looped = _looped(line, self.known.lines[track], last := self.stop - 1)
        free = track not in self.together or last >= len(self.chords) or looped[last].lag <= 0
        return looped if free or self.chords[last] == self.chords[last - looped[last].lag] else line

    def _misfit(self, plan: FormPlan) -> float:
        """Likeness of bars that lie apart on the contour, less that of bars that lie together."""
        pairs = ((bar, symbol) for line in plan.lines for bar, symbol in enumerate(line) if symbol.lag > 0)
        inside = ((bar, symbol) for bar, symbol in pairs if symbol.lag <= bar < len(self.levels))
        return sum(s.like * (abs(self.levels[bar] - self.levels[bar - s.lag]) - FAR) for bar, s in inside)

    def _beginning(self, cast: Sequence[int], generator: np.random.Generator | None) -> frozenset[int]:
        """The tracks of a cast that begin a band from nothing: its rhythm and some of the others."""
        if not self.rhythm:
            return frozenset()
        others = [track for track in cast if track not in self.rhythm]
        if generator is not None:
            others = generator.permutation(others).tolist()
        return frozenset(self.rhythm).intersection(cast) | frozenset(others[: BEGIN - len(self.rhythm)])


def _ended(line: Sequence[Symbol], known: Sequence[Symbol], last: int) -> Sequence[Symbol]:
    """A plan whose bars from the `last` one on are no copies, unless that was asked for."""
    asked = len(known) > last and known[last] != UNTOLD
    return line if asked else (*line[:last], *(NEW if symbol.is_copy else symbol for symbol in line[last:]))


def _looped(line: Sequence[Symbol], known: Sequence[Symbol], last: int) -> Sequence[Symbol]:
    """A plan whose `last` bar goes on as the one before it returned, unless that was asked for, or is a copy."""
    before = line[last - 1] if 0 < last < len(line) else NEW
    asked = len(known) > last and known[last] != UNTOLD
    if asked or not before.is_copy or not 0 < before.lag <= last or line[last].is_copy:
        return line
    return (*line[:last], Symbol(before.lag, LIKES), *line[last + 1 :])


def form_of(
    settings: Settings, region: Region, view: "PrimerView | None", bundle: Bundle, chords: Sequence[Span] = ()
) -> Form | None:
    """The plan of what is asked for, `chords` too; None for a model that knows of none. Raises `UsageError`."""
    planner = bundle.planner
    if planner is None or not any(name.startswith("form_") for name in bundle.channels):
        if settings.form:
            raise UsageError(f"form {settings.form}: {bundle.name} plans no bars; choose folk or band with --model")
        return None
    meter = settings.meter or DEFAULT_METER
    if view is not None:
        meter = view.meters[min(region.first, view.bars - 1)]
    tracks = len(bundle.tracks) if bundle.tokenizer.parts and planner.is_of_tracks else 0
    stop, closes = region.stop, region.closes
    if view is None:
        known = FormPlan(tracks=((),) * tracks)
        drawn = settings.form is None and region.whole
        rhythm = tuple(place for place, track in enumerate(bundle.tracks[:tracks]) if track.role in RHYTHM)
        form = Form(planner, known, stop, stop if closes else None, meter, pickup_drawn=drawn, rhythm=rhythm)
    else:
        bars, pickup = bars_of(view.ids)
        known = _tracks_of_primer(region, bars, pickup, tracks) if tracks else _plan_of_primer(region, bars, pickup)
        length = view.bars if stop < view.bars else None  # so many bars more say nothing of a form
        form = Form(planner, known, stop, length, meter)
        if tracks:
            form = _with_players(form, region, bars[: region.first])
            if settings.add and pickup:  # tracks that are added go back to no bar that is so short
                form = replace(form, reach=tuple(max(0, bar - pickup) for bar in range(stop)))
            if settings.add and region.tune(bundle.tracks) is not None:
                form = _around_tune(form, region, bundle)
            elif settings.add:
                harmony = harmony_of(view.score, bundle.harmony_rate)
                bars_heard = steps_by_bar(view.score, harmony, bundle.harmony_rate)
                form = replace(form, chords=_chords_of_bars(bars_heard))
    if all(track.drums for track in bundle.tracks):
        form = replace(form, hold=HOLD)
    if is_band(bundle):
        form = replace(form, together=frozenset(n for n, track in enumerate(bundle.tracks) if not track.drums))
        if view is not None and not (region.given or region.replaces):
            form = replace(form, chords=_chords_going_on(view, region, bundle.harmony_rate, chords))
            if stop - region.first >= MOVES_ON:
                form = replace(form, moves_on=region.first)
    if settings.contour:
        table, lines = contour_told(settings.contour, region, view, bundle), region.lines.tolist()
        form = replace(form, levels=tuple(float(table[a:b].mean()) for a, b in pairwise(lines[: stop + 1])))
    closing = closes and settings.style_rules
    anew = closing and {"planned_chords", "tonic_ending"} <= set(bundle.style_rules)
    form = replace(form, ends_anew=anew, loops_on=closing and not anew and is_band(bundle))
    if settings.form == AS_PRIMER:
        return _as_primer(form, region)
    if settings.form:
        return _in_sections(form, region, parse_form(settings.form), settings.section)
    return form


def _with_players(form: Form, region: Region, before: Sequence[Bar]) -> Form:
    """The tracks that may sound: those heard, those asked for and those that wait.

    The second ones, and free ones heard lately, do at once.
    """
    heard, lately = (frozenset(event[1] for bar in bars for event in bar) for bars in (before, before[-AWAKE:]))
    free = frozenset(region.tracks)
    return replace(form, cast=heard | free, awake=free & lately | free - heard - region.waiting)


def _around_tune(form: Form, region: Region, bundle: Bundle) -> Form:
    """Pitched tracks around a tune alone return where it does: a bar's chords would not fit other notes."""
    (guide,) = region.pitched(bundle.tracks)
    known, lines = form.known, list(form.known.tracks)
    again = tuple(FIRST if bar <= known.pickup else s if s.is_copy else NEW for bar, s in enumerate(lines[guide]))
    for place in set(region.tracks) - {guide}:
        lines[place] = lines[place] if bundle.tracks[place].drums else again[: region.stop]
    return replace(form, known=known.with_lines(lines))


def _chords_of_bars(bars: Sequence[Steps]) -> tuple[int, ...]:
    """A number for each bar, the same where its roots and basses are."""
    numbers: dict[tuple[tuple[int, int], ...], int] = {}
    found = [tuple((chord and 1 + (chord - 1) % OCTAVE, bass) for chord, bass in bar) for bar in bars]
    return tuple(numbers.setdefault(bar, len(numbers)) for bar in found)


def _chords_going_on(view: "PrimerView", region: Region, rate: Rate, asked: Sequence[Span]) -> tuple[int, ...]:
    """The same of the bars before the new ones, and of these where chords are asked for or they are a chorus more."""
    heard = steps_by_bar(view.score, harmony_of(view.score, rate), rate)[: region.first]
    heard += [[]] * (region.first - len(heard))  # bars at the end in which nobody plays
    if region.own:  # new bars are no musician's
        return _chords_of_bars(heard)
    if asked:
        return _chords_of_bars([*heard, *_steps_asked(asked, region, rate)])
    chorus = chorus_of(heard, view.bars) if region.first == view.bars else 0
    return _chords_of_bars([*heard, *(heard[bar % chorus - chorus] for bar in range(region.bars) if chorus)])


def _steps_asked(asked: Sequence[Span], region: Region, rate: Rate) -> list[Steps]:
    """The chords and basses that are asked for in each new bar."""
    starts = [span.start for span in asked]
    rows = zip(pairwise(region.new_lines.tolist()), region.new_meters, strict=True)
    bars = [steps_of_bar(start, stop, meter, rate) for (start, stop), meter in rows]
    at = [[asked[max(0, bisect_right(starts, tick) - 1)].chord for tick in ticks] for ticks in bars]
    return [[(chord.value, 1 + chord.bass) if chord else (0, 0) for chord in chords] for chords in at]


def _plan_of_primer(region: Region, bars: Sequence[Bar], pickup: int) -> FormPlan:
    if region.first >= len(bars):
        return plan_of_bars(bars, pickup).plan
    guides = set(region.given) - set(region.tracks)
    if guides:  # the tracks that stay go through the new bars, too
        return plan_of_bars(bars, pickup, guides).plan
    return plan_around(bars, pickup, range(region.first, min(region.stop, len(bars))))


def _tracks_of_primer(region: Region, bars: Sequence[Bar], pickup: int, count: int) -> FormPlan:
    """The plans of the primer's tracks: of the free ones where they stand, of the others through the new bars, too."""
    if region.first >= len(bars):
        return plan_of_tracks(bars, pickup, count).plan
    guides = set(region.given) - set(region.tracks)
    if region.replaces:
        gap = range(region.first, min(region.stop, len(bars)))
        return plan_of_tracks_around(bars, pickup, gap, count, guides)
    found = plan_of_tracks(bars, pickup, count).plan
    return found.with_lines(
        [line if track in guides else line[: region.first] for track, line in enumerate(found.tracks)]
    )


def _as_primer(form: Form, region: Region) -> Form:
    """The plan of the primer's bars once more, within the new ones."""
    first, lines = region.first, []
    for own in form.known.lines:
        again = [NEW if symbol == FIRST else symbol for symbol in own[:first]]
        asked = [again[bar % len(again)] for bar in range(form.stop - first)]
        lines.append((*own[:first], *asked))
    return replace(form, known=form.known.with_lines(lines))


def _in_sections(form: Form, region: Region, sections: Sequence[Section], length: int) -> Form:
    """Sections that return as they are asked to, in all tracks; within a new one the plan is drawn."""
    asked, reach = [], list(range(region.first))
    pickup = form.known.pickup
    for bar in range(region.first, form.stop):
        number, inside = divmod(max(0, bar - pickup), length)
        section = sections[number % len(sections)]
        earlier = [other for other in range(number) if sections[other % len(sections)].letter == section.letter]
        lag = (number - earlier[-1]) * length if earlier else 0
        opening = FIRST if bar <= pickup and not form.known.tracks else UNTOLD
        asked.append(Symbol(lag, section.like) if lag in LAGS else opening)
        reach.append(inside)
    lines = [(*line[: region.first], *asked) for line in form.known.lines]
    return replace(form, known=form.known.with_lines(lines), reach=tuple(reach))

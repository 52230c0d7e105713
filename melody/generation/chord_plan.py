"""The chords of a take, where nobody asks for any: heard in the primer, and drawn for the new bars.

The model is told them and free to leave them (`melody.tokens.harmony`). Each take draws its own from its seed and
number, after the plan of its bars: a bar that is planned as another has that one's chords. Notes that stay, a tune or
what is behind a gap, weigh in what is drawn. From nothing, the chords are drawn when the key and the meter are known.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.generation.chorus import chorus_of, steps_by_bar
from melody.generation.model_choice import is_band
from melody.generation.region import Region
from melody.generation.seeds import Seed
from melody.music.chords import NO_CHORD, OCTAVE, Chord
from melody.music.heard_chords import heard as heard_in
from melody.music.key import Key
from melody.music.score import GRID, Ints, Notes, most_at_once
from melody.tokens.closing import strong_places
from melody.tokens.harmonist import FIT, SURE, Ground, Harmonist, Wanted, plan_of, relative, tones_in
from melody.tokens.harmony import HarmonyPlan, Moment, Rate, Told, harmony_of, phrase_ends, steps_of_bar
from melody.tokens.plan import FormPlan
from melody.tokens.vocabulary import METERS

if TYPE_CHECKING:
    from melody.generation.primer.primer_view import PrimerView

CHORD = 3  # notes at once
CADENCE = 2.0  # ln: how much more phrases of a given tune close by a falling fifth, where a rule of style ends them
MOST_BEFORE, MOST_BEHIND = 24, 2  # bars before the new ones, and behind a gap, that the harmonist reads


@dataclass(frozen=True)
class ChordPlan:
    """The known part of a piece's harmony, and the harmonist that draws the rest."""

    harmonist: Harmonist
    rate: Rate
    closes: bool
    temperature: float
    plans: int = 1  # that are drawn where no notes are given; the likeliest stays
    fit: float = FIT  # how much given notes weigh
    ground: Ground | None = None  # None: key and meter are the model's choice, and not known yet
    edges: Ints | None = None  # (S + 1,) of the steps of that ground
    asked: Wanted | None = None
    heard: HarmonyPlan | None = None  # in the primer
    first_bar: int = 0  # of the piece, with which the ground begins
    first: int = 0  # step from which on chords are drawn
    ends_at_home: bool = False  # whether its music ends on the tonic, by a rule of its style
    pitched: frozenset[int] = frozenset()  # the tracks whose plans say which bar's chords a bar has

    @property
    def known(self) -> Told | None:
        """The channels that the model is told while it reads the primer."""
        return None if self.heard is None else self.heard.table()

    def draw(self, seed: Seed | None, form: FormPlan | None) -> HarmonyPlan:
        """The harmony of a take with this plan of its bars, where its ground is known; without a seed the likeliest."""
        assert self.ground is not None
        assert self.asked is not None
        assert self.edges is not None
        asked = replace(self.asked, copied=self._copied(self.ground, form)) if form is not None else self.asked
        generator = None if seed is None else seed.generator_of_chords()
        codes, last = self.harmonist.draw(self.ground, asked, generator, self.temperature, self.fit, self.plans)
        return plan_of(self.edges, codes, last, self.ground)

    def draw_later(self, seed: Seed | None, form: FormPlan | None, moment: Moment) -> HarmonyPlan:
        """The harmony of a take from nothing with this plan of its bars, from when its key and meter are known."""
        length = moment.bar_ticks
        lines = moment.bar_start + length * np.arange(max(1, moment.stop - moment.bar) + 1)
        bars = [steps_of_bar(line, line + length, METERS[moment.meter], self.rate) for line in lines[:-1].tolist()]
        minor, tonic = divmod(moment.key - 1, OCTAVE)
        ground = Ground.of(bars, Key(tonic, "minor" if minor else "major"), self.closes)
        edges = np.array([*(tick for steps in bars for tick in steps), lines[-1]])
        asked = self.closing(Wanted.nothing(len(ground)), ground, METERS[moment.meter])
        return replace(self, ground=ground, edges=edges, asked=asked, first_bar=moment.bar).draw(seed, form)

    def closing(self, asked: Wanted, ground: Ground, meter: tuple[int, int]) -> Wanted:
        """Add to what is asked where the plan may close: on strong beats of the last bar, whose meter is given.

        It need not where its chords are known, or where less than half of what given notes sound is of the tonic.
        """
        if not (self.ends_at_home and ground.ends) or asked.known[-1]:
            return asked
        last = ground.bar == ground.bar[-1]
        may_close = last & np.isin(ground.place, strong_places(int(last.sum()), meter[0]))
        heard = asked.tones[np.flatnonzero(may_close)[-1] :].sum(axis=0)
        fits = heard[list(Key(0, ground.key.mode).triad)].sum() >= heard.sum() / 2
        return replace(asked, may_close=may_close & fits)

    def _copied(self, ground: Ground, form: FormPlan) -> Ints:
        """The step (S,) whose chord is each step's too, as the plan of bars has it; -1 for none."""
        at = {(bar, place): step for step, (bar, place) in enumerate(zip(*_numbers(ground), strict=True))}
        places = Counter(ground.bar.tolist())
        copied = np.full(len(ground), -1)
        for (bar, place), step in at.items():
            lag = _lag_of(form, self.first_bar + bar, self.pitched)
            if step >= self.first and lag and places[bar] == places[bar - lag]:
                copied[step] = at[bar - lag, place]
        return copied


def _numbers(ground: Ground) -> tuple[list[int], list[int]]:
    return ground.bar.tolist(), ground.place.tolist()


def _lag_of(form: FormPlan, bar: int, pitched: Collection[int]) -> int:
    """Return how many bars ago the bar stands whose chords a bar has, 0: none.

    Where tracks are planned apart, most of the pitched ones that return say so: their notes have its chords already.
    """
    lines = [line for track, line in enumerate(form.lines) if not form.tracks or track in pitched]
    symbols = [line[bar] for line in lines if bar < len(line)]
    lags = Counter(symbol.lag for symbol in symbols if symbol.is_copy and symbol.lag > 0)
    return max(lags, key=lambda lag: (lags[lag], -lag), default=0)


def chord_plan_of(region: Region, view: "PrimerView | None", key: Key | None, bundle: Bundle) -> ChordPlan | None:
    """The chords of what is asked for; None for a model that knows of none."""
    harmonist = bundle.harmonist
    if harmonist is None or not {"harmony", "chord"} & set(bundle.channels):
        return None
    pitched = frozenset(place for place, track in enumerate(bundle.tracks) if not track.drums)
    plan = ChordPlan(harmonist, bundle.harmony_rate, region.closes, *bundle.harmony_sampling, pitched=pitched)
    plan = replace(plan, ends_at_home="tonic_ending" in bundle.style_rules)
    if bundle.harmoniser is not None and region.tune(bundle.tracks) is not None:
        plan = replace(plan, harmonist=bundle.harmoniser, temperature=SURE, fit=FIT / SURE)
    if key is None or not (region.meters or view):
        return plan
    lines, meters = _lines_of(region, view)
    stop = len(meters) if view is None or region.stop >= view.bars else min(len(meters), region.stop + MOST_BEHIND)
    first_bar = max(0, region.first - MOST_BEFORE)
    rows = zip(lines[first_bar:stop], lines[first_bar + 1 : stop + 1], meters[first_bar:stop], strict=True)
    bars = [steps_of_bar(start, end, meter, plan.rate) for start, end, meter in rows]
    edges = np.array([*(tick for steps in bars for tick in steps), lines[stop]], np.int64)
    ground = Ground.of(bars, key, region.closes and stop >= region.stop)
    new = (edges[:-1] >= lines[region.first]) & (edges[:-1] < lines[region.stop])
    first = int(new.argmax())
    heard = None
    asked = Wanted.nothing(len(ground))
    if view is not None:
        heard = harmony_of(view.score, plan.rate)
        asked = _as_heard(heard, edges, new, key)
        bars_heard = steps_by_bar(view.score, heard, plan.rate)
        if region.first == view.bars and (chorus := chorus_of(bars_heard, view.bars)):
            asked = _once_more(asked, heard, edges, lines[region.first - chorus], lines[region.first], key)
        heard = _before(heard, lines[region.first])
    if parts := list(region.pitched(bundle.tracks).values()):
        asked = _fitting(asked, parts, edges, new, key)
        asked = replace(asked, cadence=CADENCE if "planned_phrases" in bundle.style_rules else 0.0)
        asked = _sounding(asked, parts, edges, new, key) if is_band(bundle) else asked
    asked = plan.closing(asked, ground, meters[stop - 1])
    return replace(plan, ground=ground, edges=edges, asked=asked, heard=heard, first_bar=first_bar, first=first)


def _lines_of(region: Region, view: "PrimerView | None") -> tuple[list[int], list[tuple[int, int]]]:
    """The bar lines and meters up to the last new bar; of bars whose meter is open that of the primer's last."""
    if region.meters:
        lines, meters = region.lines, list(region.meters)
        if view is not None and view.bars > len(meters):
            lines, meters = view.lines, list(view.meters)
        return lines.tolist(), meters
    assert view is not None
    meter, lines = view.meters[-1], view.lines.tolist()
    length = GRID * 4 * meter[0] // meter[1]
    more = region.stop - view.bars
    return [*lines, *(lines[-1] + length * (n + 1) for n in range(more))], [*view.meters, *[meter] * more]


def _before(heard: HarmonyPlan, tick: int) -> HarmonyPlan:
    """The part of a plan up to a tick."""
    count = int(np.searchsorted(heard.edges, tick))
    ends = tuple(end for end in heard.ends if end[0] < tick)
    if not count:
        return replace(heard, edges=np.array([0, 1]), steps=np.zeros((1, 2), np.int16), ends=())
    return replace(heard, edges=np.append(heard.edges[:count], tick), steps=heard.steps[:count], ends=ends)


def _as_heard(heard: HarmonyPlan, edges: Ints, new: NDArray[np.bool_], key: Key) -> Wanted:
    """Chords and phrases that the primer tells of these steps, but in the new bars."""
    asked = Wanted.nothing(len(new))
    place = np.searchsorted(heard.edges, edges[:-1], side="right") - 1
    known = ~new & (place < len(heard.steps))
    codes = np.zeros((len(new), 3), np.int64)
    codes[known] = relative(heard.steps[place[known]], key.tonic)
    return replace(asked, codes=codes, known=known, last=_ends_in(heard.ends, edges) & known, phrased=known)


def _once_more(asked: Wanted, heard: HarmonyPlan, edges: Ints, start: int, stop: int, key: Key) -> Wanted:
    """Add to what is asked, from a tick on, the chords that were heard since another one, over and over."""
    new = edges[:-1] >= stop
    there = start + (edges[:-1][new] - stop) % (stop - start)
    codes = asked.codes.copy()
    codes[new] = relative(heard.steps[np.searchsorted(heard.edges, there, side="right") - 1], key.tonic)
    return replace(asked, codes=codes, known=asked.known | new)


def _fitting(asked: Wanted, parts: Sequence[Notes], edges: Ints, new: NDArray[np.bool_], key: Key) -> Wanted:
    """Add to what is asked the tones that given notes sound, and of the highest line the ends of phrases."""
    together = Notes(*map(np.concatenate, zip(*parts, strict=True)))
    tones = tones_in(together, edges) * new[:, None]
    tones /= np.maximum(1, tones.sum(axis=1, keepdims=True))
    asked = replace(asked, tones=np.roll(tones, -key.tonic, axis=1))
    tune = max(parts, key=lambda notes: float(notes.pitch.mean()))
    if most_at_once(tune) > 1:
        return asked
    last = np.where(new, _ends_in(phrase_ends(tune), edges), asked.last)
    return replace(asked, last=last, phrased=asked.phrased | new)


def _sounding(asked: Wanted, parts: Sequence[Notes], edges: Ints, new: NDArray[np.bool_], key: Key) -> Wanted:
    """Add to what is asked the chords of the new bars that given notes sound, three at once or more."""
    together = Notes(*map(np.concatenate, zip(*parts, strict=True)))
    if most_at_once(together) < CHORD:
        return asked
    steps = heard_in(together, edges)
    sounds = new & (steps[:, 0] > 0)
    codes = np.where(sounds[:, None], relative(steps, key.tonic), asked.codes)
    return replace(asked, codes=codes, known=asked.known | sounds)


def _ends_in(ends: tuple[tuple[int, int], ...], edges: Ints) -> NDArray[np.bool_]:
    """Return in which steps (S,) the last note of a phrase begins."""
    starts = np.array([start for start, _ in ends if edges[0] <= start < edges[-1]], np.int64)
    result = np.zeros(len(edges) - 1, bool)
    result[np.searchsorted(edges, starts, side="right") - 1] = True
    return result


def as_text(plan: HarmonyPlan, region: Region) -> str:
    """The chords of the new bars, as ``C F/A G7 | C``; a chord that stays is said once a bar."""
    lines, result = region.lines, []
    start = int(lines[min(region.first, len(lines) - 1)])
    stop = int(lines[region.stop]) if region.stop < len(lines) else plan.lines[-1]
    for line, after in pairwise(plan.lines):
        if start <= line < stop:
            inside = (plan.edges[:-1] >= line) & (plan.edges[:-1] < after)
            names = [_name(int(value), int(bass)) for value, bass in plan.steps[inside]]
            result.append(" ".join(name for name, _ in groupby(names)))
    return " | ".join(result)


def _name(value: int, bass: int) -> str:
    return Chord((value - 1) % OCTAVE, (value - 1) // OCTAVE, bass - 1).name if value else NO_CHORD

"""A composition made ready: what the model reads first, what it is told of the music to come, and the rules.

`Prepared` is all that a decoder needs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from symusic import TimeSignature

from melody.bundle import Bundle
from melody.engine import Engine
from melody.errors import UsageError
from melody.generation.canvas import why_not
from melody.generation.chord_plan import ChordPlan, as_text, chord_plan_of
from melody.generation.form import Form, form_of
from melody.generation.held import given_lines, rooms_for, rules_for
from melody.generation.prefix import Opening, Prefix, TakePlan, read_opening, read_prefix
from melody.generation.primer.assignment import with_drums_asked
from melody.generation.primer.manner import settled
from melody.generation.primer.primer_fit import Fit, fit_of
from melody.generation.primer.primer_view import Primer, PrimerView, view_primer
from melody.generation.ranges import find_track, listed, strict_scale
from melody.generation.ranking import BY_TASTE
from melody.generation.region import Region, region_of
from melody.generation.rules.contract import Rule
from melody.generation.rules.copying import CopyReader, watching
from melody.generation.rules.playable import Room
from melody.generation.seam import NOWHERE, Seam, across
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.generation.told import bars_of, chord_spans, foreseen, ids_before, key_of_chords, key_token
from melody.music.chords import Span
from melody.music.key import Key, parse_key
from melody.music.progressions import markers_as_chords
from melody.music.score import TICKS_PER_QUARTER, Score, common_resolution, resample
from melody.tokens import Plan
from melody.tokens.channels import HARMONISING
from melody.tokens.harmony import HarmonyPlan, Moment, Told
from melody.tokens.plan import FormPlan

OF_PITCH = ("key", "strict_key", "chords")  # options that say nothing to drums


@dataclass(frozen=True)
class Prepared:
    """A composition made ready."""

    settings: Settings
    bundle: Bundle  # in the style that is asked for
    primer: Primer | None
    region: Region
    read: Callable[[], Prefix]  # makes the prefix, once
    ids: list[int]  # of the prefix
    rules: list[Rule]
    rooms: Mapping[int, Room]  # of the model's tracks that get new notes
    key: Key | None  # of the new music, where one is asked for or the primer has one
    chords: list[Span]  # asked for, in ticks of the grid
    idle: tuple[str, ...] = ()  # options that say nothing to drums
    advised: str | None = None  # what to say of a primer that is unlike the training music, where advice was sought
    own: Score | None = None  # the primer at a resolution at which nothing of it moves
    form: Form | None = None  # None: the model plans no bars
    chord_plan: ChordPlan | None = None  # None: the model plans no chords, or some are asked for
    opening: Opening | None = None  # from where each take reads on by its own plans
    note_by_note: str = ""  # why a gap cannot be rewritten in rounds
    plans: dict[Seed | None, FormPlan] = field(default_factory=dict, compare=False)  # those that were drawn
    harmonies: dict[Seed | None, HarmonyPlan] = field(default_factory=dict, compare=False)  # likewise

    @property
    def track_of(self) -> Mapping[int, int]:
        """The musician's track of each of the model's that sounds in the new bars."""
        return {**(self.primer.view.tracks if self.primer and self.region.given else {}), **self.region.tracks}

    @property
    def prefix(self) -> Prefix:
        """All that stands before the new music, under the plans that are there before a take draws its own."""
        return self.read()

    @property
    def seam(self) -> Seam:
        """The place where new music begins, in ticks of `given`."""
        return self._across[1]

    @property
    def given(self) -> Score | None:
        """The primer at a resolution at which nothing of it moves, its seam made ready."""
        return self._across[0]

    @cached_property
    def _across(self) -> tuple[Score | None, Seam, Sequence[str]]:
        """The primer, its seam and what the musician should know of it. Nobody waits for it who hears notes first."""
        if self.own is None or self.primer is None:
            return self.own, NOWHERE, ()
        seam = _seam_of(self.own, self.primer.view, self.region)
        given, said = across(self.own, seam)
        return given, seam, said

    @cached_property
    def unlike(self) -> Fit | None:
        """The fit of the primer, where it is unlike the training music. Nobody waits for it who hears notes first."""
        whole = self.prefix if self.opening is None else self.opening.before
        fit = fit_of(whole.nats, self.ids, self.bundle) if self.primer else None
        return fit if fit and fit.is_strange else None

    @property
    def strange(self) -> str:
        """The line about a primer that is unlike the training music."""
        if self.unlike is None:
            return ""
        cost = f"{self.unlike.nats_per_note:.1f} nats a note, {self.unlike.times:.1f} times what is typical"
        return f"the primer is unlike {self.bundle.name}'s training music: {cost}"

    def start(self, seeds: Sequence[Seed]) -> list[Prefix]:
        """Return where each take begins. What is drawn for a take before its notes belongs here."""
        if self.opening is None:
            return [self.prefix for _ in seeds]
        begun = self.opening.under([self.plans_of(seed) for seed in seeds])
        return [self._watched(one) for one in begun]

    def plan_of(self, seed: Seed) -> FormPlan | None:
        """Return the plan of a take's bars; of a search that draws nothing the likeliest."""
        drawing = self._drawing(seed)
        if self.form is not None and drawing not in self.plans:
            self.plans[drawing] = self.form.draw(drawing)
        return self.plans.get(drawing)

    def chords_of(self, seed: Seed, drawn: Sequence[int]) -> str:
        """Return the chords that were planned for the new bars of a take, of which these tokens were drawn."""
        drawing = self._drawing(seed)
        plan = self.plans_of(seed)
        if plan.harmonist is not None and drawing not in self.harmonies:  # another process may have composed it
            reader = self.prefix.reader.copy()
            reader.replan(*plan)
            for token in drawn:
                reader.read(token)
        harmony = self.harmonies.get(drawing)
        return as_text(harmony, self.region) if harmony is not None else ""

    def _drawing(self, seed: Seed) -> Seed | None:
        """The seed of what is drawn before the notes; None for a search that draws nothing."""
        draws = self.settings.sampling.temperature > 0 and (self.settings.stochastic or not self.settings.beam_width)
        return seed if draws else None

    def plans_of(self, seed: Seed) -> TakePlan:
        """The plans of a take as its reader has them."""
        form, own, drawing = self.plan_of(seed), self.chord_plan, self._drawing(seed)
        if own is None:
            return TakePlan(form)
        if own.ground is None:

            def draw_later(moment: Moment) -> Told:
                self.harmonies[drawing] = own.draw_later(drawing, form, moment)
                return self.harmonies[drawing].table()

            return TakePlan(form, harmonist=draw_later)
        if drawing not in self.harmonies:
            self.harmonies[drawing] = own.draw(drawing, form)
        return TakePlan(form, self.harmonies[drawing].table())

    def _watched(self, prefix: Prefix) -> Prefix:
        """A prefix whose reader knows what new notes copy, where that is asked for."""
        watcher: Any = None if self.settings.max_copy_bars is None else self.prefix.reader
        return prefix.read_by(watcher.around(prefix.reader)) if isinstance(watcher, CopyReader) else prefix

    @property
    def rewrites(self) -> bool:
        """True where a gap is rewritten in rounds."""
        return self.settings.decoder == "rewriting" and not self.note_by_note

    @property
    def messages(self) -> tuple[str, ...]:
        """Lines that the musician should read."""
        unasked = self.settings.strict_key and not self.settings.key
        scale = (f"new pitches from the scale of {self.key.name}",) if self.key and unasked else ()
        marked = ("chords from the markers of the primer",) if self.chords and not self.settings.chords else ()
        idle = (f"without effect on drums: {listed(self.idle)}",) if self.idle else ()
        said = self.strange if self.advised is None else self.advised
        strange = (said,) if said else ()
        own = (self.region.own.said,) if self.region.own else ()
        waiting = [self.bundle.tracks[place].name for place in sorted(self.region.waiting)]
        empty = (f"empty in the primer, may come in: {listed(waiting)}",) if waiting else ()
        seen = self.primer.view.messages if self.primer else ()
        filled = self.settings.rounds is not None and self.settings.strength is None and self.note_by_note
        slow = (f"filled, not rewritten: {self.note_by_note}",) if filled else ()
        return (*seen, *empty, *own, *scale, *marked, *self._clashes, *idle, *strange, *slow, *self._across[2])

    @property
    def _clashes(self) -> tuple[str, ...]:
        """Chords asked for that the strict scale leaves tones of out."""
        if not (self.settings.strict_key and self.settings.strict_chords and self.key):
            return ()
        scale = strict_scale(self.key)
        asked = dict.fromkeys(span.chord for span in self.chords if span.chord and not span.chord.classes <= scale)
        left = [f"{len(c.classes & scale)} of the {len(c.classes)} tones of {c.name}" for c in asked]
        return (f"`strict_key` against `chords`: {self.key.name} has {listed(left)}",) if left else ()


def prepare(bundle: Bundle, engine: Engine, score: Score | None, settings: Settings, told: bool = True) -> Prepared:
    """Make ready what settings ask for, with the primer `score`; the model is `told` what is foreseen, or only held.

    Raises `MelodyError` where it cannot be done.
    """
    bundle = bundle.in_style(settings.style)
    if settings.by == BY_TASTE and bundle.taste is None:
        raise UsageError(f"`by` taste: {bundle.name} has not learned any; `melody taste {bundle.name}` teaches it")
    settings, primer, given = _with_primer(bundle, score, settings)
    view = primer.view if primer else None
    drums = _drums_alone(settings, view, bundle)
    idle = tuple(f"`{option}`" for option in OF_PITCH if drums and getattr(settings, option))
    if idle:
        settings = replace(settings, key=None, strict_key=False, chords=None)
    marked = markers_as_chords(primer.score) if primer and not settings.chords and not drums else []
    region = region_of(settings, primer, bundle, bars_known=bool(settings.chords or marked))
    chords = chord_spans(settings, marked, region)
    asked = parse_key(settings.key) if settings.key else None
    if asked is None and view is None and any(span.chord for span in chords):
        asked = key_of_chords(chords, int(region.lines[-1]))
    key = asked or (view.last_key if view else None)
    rooms = rooms_for(settings, primer, region, key, bundle)
    note_by_note = why_not(settings, region, rooms, bundle) if settings.decoder == "rewriting" else ""
    plans = settings.decoder != "rewriting" or bool(note_by_note)
    form = form_of(settings, region, view, bundle, chords) if plans else None
    chord_plan = None if chords or drums or not (told and plans) else chord_plan_of(region, view, key, bundle)
    harmony = chord_plan.known if chord_plan is not None else None
    plan = Plan(
        bars=region.stop if region.closes else bars_of(region, view),
        key=key_token(key) if key else None,
        stop=None if region.closes else region.stop,
        foreseen=foreseen(settings, region, view, chords, bundle) if told else None,
        form=form.known if form is not None else None,
        harmony=harmony,
        harmonist=_not_yet if chord_plan is not None and harmony is None else None,
        whole=region.whole,
    )
    ids = ids_before(region, view, bundle)
    read, opening = _read(engine, bundle, plan, ids, form is not None or chord_plan is not None)
    if settings.max_copy_bars is not None:
        lines, prefix = given_lines(settings, region), read()
        watched = prefix.read_by(watching(prefix.reader, bundle.originality, settings.max_copy_bars, lines))

        def read() -> Prefix:
            return watched

    settings = settled(settings, primer, bundle)
    return Prepared(
        settings=settings,
        bundle=bundle,
        primer=primer,
        region=region,
        read=read,
        ids=ids,
        rules=rules_for(settings, view, region, asked, rooms, chords, bundle),
        rooms=rooms,
        key=key,
        chords=chords,
        idle=idle,
        own=given,
        form=form,
        chord_plan=chord_plan,
        opening=opening,
        note_by_note=note_by_note,
    )


def _with_primer(
    bundle: Bundle, score: Score | None, settings: Settings
) -> tuple[Settings, Primer | None, Score | None]:
    """The settings with what the bundle and the primer say, the primer at 480, and at its own resolution."""
    if settings.sampling.top_p is None:
        settings = replace(settings, sampling=replace(settings.sampling, top_p=bundle.top_p))
    if score is None:
        meter = settings.meter or bundle.settings.get("meter")  # that of its style
        return replace(settings, meter=tuple(meter) if meter else None), None, None
    if settings.mapping:
        score = with_drums_asked(score, settings.mapping, bundle)
    given, score = resample(score, common_resolution(score.tpq)), resample(score, TICKS_PER_QUARTER)
    names = [track.name for track in score.tracks]
    sure = {find_track(names, name, "track") for name in settings.tracks}
    sure |= {find_track(names, name, "with") for name in settings.with_tracks}
    view = view_primer(score, bundle, settings.mapping, settings.keep == "pitches", settings.add, sure)
    primer = Primer(score, view)
    return _meter_at_end(primer, settings), primer, given


def _read(
    engine: Engine, bundle: Bundle, plan: Plan, ids: Sequence[int], is_planned: bool
) -> tuple[Callable[[], Prefix], Opening | None]:
    """Let the model read what stands before the new music, up to where takes may differ by their plans."""
    reader = bundle.tokenizer.reader(plan)
    if not is_planned:
        prefix = read_prefix(engine, reader, ids)
        return lambda: prefix, None
    opening, told = read_opening(engine, reader, ids), TakePlan(plan.form, plan.harmony, plan.harmonist)
    return cache(lambda: opening.under([told])[0]), opening


def _not_yet(moment: Moment) -> Told:
    """Stand for chords that each take draws later."""
    return np.zeros((1, len(HARMONISING)), np.int16)


def _seam_of(given: Score, view: PrimerView, region: Region) -> Seam:
    """The seam between new music and the musician's, in the ticks of the primer."""
    primer = Primer(given, view)
    resumes = primer.bar_line(region.stop) if region.stop < view.bars else None
    tracks = set(region.tracks.values())
    if view.kit and view.kit.main in tracks:
        tracks.update(view.kit.tracks)
    return Seam(primer.bar_line(region.first), resumes, frozenset(tracks), bool(region.given))


def _drums_alone(settings: Settings, view: PrimerView | None, bundle: Bundle) -> bool:
    """Return True where no pitched track can get new notes."""
    places: Iterable[int] = range(len(bundle.tracks))
    if view and not settings.with_tracks:
        places = view.added or view.tracks
    return all(bundle.tracks[place].drums for place in places)


def _meter_at_end(primer: Primer, settings: Settings) -> Settings:
    """A meter that the primer states on its final bar line holds for the new part, unless another is asked for."""
    line, score = primer.bar_line(primer.view.bars), primer.score
    after = [m for m in score.time_signatures if m.time >= line > 0]
    if not after or settings.fill or settings.with_tracks or settings.add:
        return settings
    score.time_signatures = [m for m in score.time_signatures if m.time < line]
    return settings if settings.meter else replace(settings, meter=_last_at(after))


def _last_at(meters: Sequence[TimeSignature]) -> tuple[int, int]:
    """The meter that holds from the tick of the first of these on."""
    first = min(meter.time for meter in meters)
    last = [meter for meter in meters if meter.time == first][-1]
    return last.numerator, last.denominator

"""Regions: the bars and tracks of new music, and the notes of the musician's that stand there already.

    continue      |primer......|new....|
    fill 3-4      |before|new|after....|      in the tracks named, or in all
    with Soprano  |before|new..........|      Soprano goes on, the others end: they are composed around it
    add bass      |new.................|      all that is there stays, and new tracks play beside it
    from nothing  |new.................|

All are one thing to the search: a first bar, a bar before which to stop, the model's tracks that are free, and notes
that are fixed. Bars count from 0 here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from melody.bundle import Bundle, TrackInfo
from melody.errors import UsageError
from melody.generation.meters import Meter, in_known_bars, known_meters, length_of, steady
from melody.generation.primer.primer_view import Primer, PrimerView
from melody.generation.ranges import find_track, listed, named
from melody.generation.rules.fixed_notes import FixedNotes
from melody.generation.settings import AS_PRIMER, Settings
from melody.music.score import Ints, Notes, most_at_once
from melody.tokens.plan import bars_of, parse_form

DEFAULT_BARS = 8
DEFAULT_METER = (4, 4)


@dataclass(frozen=True)
class Region:
    """Bars and tracks of new music."""

    first: int  # bar
    stop: int  # the bar before which it ends
    closes: bool  # whether the piece ends there
    tracks: Mapping[int, int]  # the musician's track of each of the model's that gets new notes
    lines: Ints  # of all bars that are known beforehand, in ticks of the grid
    meters: Sequence[Meter] = ()  # of these bars; empty: the model's choice
    fixed: FixedNotes | None = None
    added: tuple[str, ...] = ()  # names of tracks that the musician did not have
    given: Mapping[int, tuple[Notes, int]] = field(default_factory=dict)  # notes that the model is told, from a tick on
    replaces: bool = False  # what the musician had in these bars of these tracks
    own: "OwnBars | None" = None  # the musician's bars, where the model composes in others
    whole: bool = False  # a pickup is no bar of those asked for
    waiting: frozenset[int] = frozenset()  # the model's tracks that come in where their plan says so, not at once

    @property
    def bars(self) -> int:
        """New bars as the musician counts them."""
        return self.own.bars if self.own else self.stop - self.first

    def bar_of(self, tick: int, bar: int) -> int:
        """Return the musician's number (from 0) of a new `bar` of the model's at a tick of the grid."""
        if self.own is None:
            return bar
        return self.first + (tick - int(self.lines[self.first])) // length_of(self.own.meter)

    def pitched(self, tracks: Sequence[TrackInfo]) -> dict[int, Notes]:
        """The notes that are given in the new bars to those of the model's `tracks` that are no drums."""
        rows = [(place, *row) for place, row in self.given.items() if row[1] <= self.lines[self.first]]
        return {place: notes for place, notes, _ in rows if len(notes.onset) and not tracks[place].drums}

    def tune(self, tracks: Sequence[TrackInfo]) -> Notes | None:
        """The single line around which all else is composed; None where more is given, or nothing."""
        parts = list(self.pitched(tracks).values())
        return parts[0] if len(parts) == 1 and most_at_once(parts[0]) == 1 else None

    @property
    def new_lines(self) -> Ints:
        """Bar lines of the new part as the musician counts its bars, up to the last one, in ticks of the grid."""
        if self.own is None:
            return self.lines[self.first : self.stop + 1]
        lines: Ints = self.lines[self.first] + length_of(self.own.meter) * np.arange(self.own.bars + 1)
        return lines

    @property
    def new_meters(self) -> Sequence[Meter]:
        """Meters of these bars."""
        return [self.own.meter] * self.own.bars if self.own else self.meters[self.first : self.stop]


class OwnBars(NamedTuple):
    """Bars of the new part in a meter that the model does not know."""

    meter: Meter
    bars: int
    said: str  # what to tell the musician


def region_of(settings: Settings, primer: Primer | None, bundle: Bundle, bars_known: bool = False) -> Region:
    """Return the region that is asked for; `bars_known` fixes the meter of its bars. Raises `UsageError`."""
    if primer is None:
        for option in ("fill", "with_tracks", "add", "keep", "mapping"):
            if getattr(settings, option):
                raise UsageError(f"`{option}`: of what? give a primer too")
        return _continued(settings, None, bundle, bars_known)
    if settings.fill:
        return _filled(settings, primer)
    if settings.with_tracks:
        return _accompanied(settings, primer, bundle)
    if settings.add:
        return _added(settings, primer, bundle)
    return _continued(settings, primer.view, bundle, bars_known)


# ---- on, or from nothing --------------------------------------------------------------------------------------------


def _continued(settings: Settings, view: PrimerView | None, bundle: Bundle, bars_known: bool) -> Region:
    first = view.bars if view else 0
    stop = first + (settings.bars or _bars_of_form(settings, view) or DEFAULT_BARS)
    meter = settings.meter or (steady(view.meters) if view else None)
    if meter is None and (bars_known or settings.density or settings.keep or settings.contour):
        meter = view.meters[-1] if view else DEFAULT_METER
    before = view.meters if view else []
    lines = view.lines if view else np.zeros(1, np.int64)
    meters: list[Meter] = []
    own: OwnBars | None = None
    if meter:
        new = [meter] * (stop - first)
        if not settings.keep and (own := _own_bars(meter, stop - first, bundle)):
            new = in_known_bars(meter, stop - first, known_meters(bundle)) or new
            stop = first + len(new)
        lines = np.concatenate([lines, lines[-1] + np.cumsum([length_of(one) for one in new])])
        meters = [*before, *new]
    waiting = _waiting(view, bundle) if view and not settings.keep else {}
    tracks = {**view.tracks, **waiting} if view else {place: place for place in range(len(bundle.tracks))}
    fixed = None
    if view and settings.keep in ("rhythm", "bars"):
        fixed = _again(view, lines, first, stop, _pitched_bars(stop - first) if settings.keep == "bars" else [])
    closes = settings.ending and not settings.keep and not settings.loop
    whole = view is None and not meters and stop > 1
    comes_in = frozenset(waiting)
    return Region(first, stop, closes, tracks, lines, meters, fixed, own=own, whole=whole, waiting=comes_in)


def _own_bars(meter: Meter, count: int, bundle: Bundle) -> OwnBars | None:
    """The musician's bars where the model does not know their meter."""
    known = known_meters(bundle)
    if meter in known:
        return None
    parts = in_known_bars(meter, count, known)
    name = "/".join(map(str, meter))
    if parts is None:
        return OwnBars(meter, count, f"{bundle.name} never learned {name}: bars may stay empty at their ends")
    inside = listed(list(dict.fromkeys("/".join(map(str, part)) for part in parts)))
    return OwnBars(meter, count, f"{bundle.name} never learned {name}: composed in {inside}, in the same time")


def _bars_of_form(settings: Settings, view: PrimerView | None) -> int | None:
    """Return the new bars of the form that is asked for, if any. Raises `UsageError`."""
    if not settings.form:
        return None
    if settings.form == AS_PRIMER:
        if view is None:
            raise UsageError("form as-primer: of which? give a file too, as melody compose theme.mid --form as-primer")
        return view.bars
    there = view.bars if view else 0
    pickup = bars_of(view.ids)[1] if view else 0
    sections = len(parse_form(settings.form))
    wanted = sections * settings.section + pickup - there
    if wanted < 1:
        raise UsageError(
            f"form {settings.form}: {sections} sections of {settings.section} bars are no more than the {there} bars "
            "there are; name those of the file first, then those to come"
        )
    return wanted


VARIED = 4  # with `--keep bars` every such bar keeps its rhythm alone


def _pitched_bars(count: int) -> list[int]:
    """The new bars, from 0, that are those of the primer to the note: all but the last of each four."""
    return [bar for bar in range(count) if bar % VARIED != VARIED - 1]


def _again(view: PrimerView, lines: Ints, first: int, stop: int, pitched: Collection[int]) -> FixedNotes:
    """The rhythm of the primer's bars over again, for bars as long as the new ones; with pitches in some of these.

    Drums have their sounds in all bars where there are some with pitches.
    """
    length = lines[first + 1] - lines[first]
    sources = np.flatnonzero(np.diff(view.lines) == length).tolist()
    if not sources:
        raise UsageError("`keep`: no bar of the primer is as long as the new ones; leave out `meter`")
    parts, fixed = {}, {}
    for place, notes in view.notes.items():
        rows = [_bar_of(notes, view.lines, sources[n % len(sources)], lines[first + n]) for n in range(stop - first)]
        parts[place] = Notes(*map(np.concatenate, zip(*rows, strict=True)))
        drums = bool(view.score.tracks[place].is_drum and pitched)
        fixed[place] = np.concatenate([np.full(len(row.onset), n in pitched or drums) for n, row in enumerate(rows)])
    return FixedNotes(parts, fixed)


def _bar_of(notes: Notes, lines: Ints, bar: int, start: int) -> Notes:
    """The notes that begin in a bar, moved to `start` and ended with it."""
    inside = notes.take((notes.onset >= lines[bar]) & (notes.onset < lines[bar + 1]))
    until_end = lines[bar + 1] - inside.onset
    return inside._replace(onset=inside.onset - lines[bar] + start, duration=np.minimum(inside.duration, until_end))


# ---- around what is there -------------------------------------------------------------------------------------------


def _filled(settings: Settings, primer: Primer) -> Region:
    """Some bars anew, between what stands before and after them."""
    assert settings.fill
    first, stop = settings.fill[0] - 1, settings.fill[1]
    names, view = primer.names, primer.view
    if stop > view.bars:
        raise UsageError(f"fill {first + 1}-{stop}: the file ends with bar {view.bars}")
    wanted = _kit_as_one({find_track(names, name, "track") for name in settings.tracks}, view, names, "track")
    wanted = wanted or set(view.tracks.values())
    for track in wanted - set(view.tracks.values()):
        raise UsageError(f"track {named(names, track)}: the model has no place for it; name one of those it continues")
    free = {place: track for place, track in view.tracks.items() if track in wanted}
    others = view.notes.keys() - free.keys()
    start, end = int(view.lines[first]), int(view.lines[stop])
    fixed = {place: _between(view.notes[place], start, end) for place in others}
    given = {place: (view.notes[place], 0 if place in others else end) for place in view.notes}
    closes = settings.ending and stop == view.bars
    return Region(
        first, stop, closes, free, view.lines, view.meters, FixedNotes(fixed) if fixed else None, (), given, True
    )


def _accompanied(settings: Settings, primer: Primer, bundle: Bundle) -> Region:
    """The other tracks around those that go on."""
    names, view = primer.names, primer.view
    wanted = _kit_as_one({find_track(names, name, "with") for name in settings.with_tracks}, view, names, "with")
    for track in wanted - set(view.tracks.values()):
        raise UsageError(f"with {named(names, track)}: the model has no place for it, or it is empty")
    guides = {place for place, track in view.tracks.items() if track in wanted}
    others = {place: track for place, track in view.tracks.items() if place not in guides}
    first, last = (_bars_until(view, places) for places in (others, guides))
    stop = last if settings.bars is None else first + settings.bars
    listed = " and ".join(named(names, track) for track in sorted(wanted))
    if first >= last:
        raise UsageError(f"with {listed}: the other tracks go on as long; to compose some bars of them anew use `fill`")
    if stop > last:
        raise UsageError(f"with {listed}: {last - first} bars are to be composed around, not {settings.bars}")
    added: tuple[str, ...] = ()
    if not others:  # a melody alone gets all the tracks that the model writes beside it
        others, added = _new_tracks([p for p in range(len(bundle.tracks)) if p not in guides], primer, bundle)
    if not others:
        raise UsageError(f"with {listed}: {bundle.name} writes no other track; choose another model, as chorale")
    return _around(guides, first, stop, settings.ending and stop == last, others, added, view)


def _added(settings: Settings, primer: Primer, bundle: Bundle) -> Region:
    """New tracks through all bars."""
    view = primer.view
    tracks, added = _new_tracks(view.added, primer, bundle)
    return _around(set(view.notes), 0, view.bars, settings.ending, tracks, added, view)


def _around(
    guides: Collection[int],
    first: int,
    stop: int,
    closes: bool,
    tracks: Mapping[int, int],
    added: tuple[str, ...],
    view: PrimerView,
) -> Region:
    """The region of `tracks` around the places that go on."""
    start, end = int(view.lines[first]), int(view.lines[stop])
    fixed = FixedNotes({place: _between(view.notes[place], start, end) for place in guides})
    given = {place: (view.notes[place], 0) for place in guides}
    return Region(first, stop, closes, tracks, view.lines, view.meters, fixed, added, given)


def _waiting(view: PrimerView, bundle: Bundle) -> dict[int, int]:
    """The tracks of the primer without notes that a model with a plan for each track may let come in, by place."""
    if bundle.planner is None or not bundle.planner.is_of_tracks:
        return {}
    places = {track.name.casefold(): place for place, track in enumerate(bundle.tracks)}
    empty = [(track.name.casefold(), n) for n, track in enumerate(view.written.tracks) if not len(track.notes)]
    named_so = {places[name]: track for name, track in reversed(empty) if name in places}
    return {place: track for place, track in sorted(named_so.items()) if place not in view.tracks}


def _new_tracks(places: Sequence[int], primer: Primer, bundle: Bundle) -> tuple[dict[int, int], tuple[str, ...]]:
    """A track for each place: an empty one of its name, or else a new one; and the names of these."""
    names = primer.names
    empty = {track.name.casefold(): number for number, track in enumerate(primer.score.tracks) if not len(track.notes)}
    tracks: dict[int, int] = {}
    added: list[str] = []
    for place in places:
        name = bundle.tracks[place].name
        tracks[place] = empty.get(name.casefold(), len(names) + len(added))
        added += [name] if tracks[place] >= len(names) else []
    return tracks, tuple(added)


def _kit_as_one(wanted: set[int], view: PrimerView, names: Sequence[str], option: str) -> set[int]:
    """The tracks with the main one of a kit for all of it. Raises `UsageError` where a part of the kit is wanted."""
    if view.kit is None or not wanted.intersection(view.kit.tracks):
        return wanted
    if not wanted.issuperset(view.kit.tracks):
        kit = listed([named(names, track) for track in view.kit.tracks])
        raise UsageError(f"{option}: {kit} are one kit to the model; name all of them, or none")
    return wanted.difference(view.kit.tracks) | {view.kit.main}


def _bars_until(view: PrimerView, places: Collection[int]) -> int:
    """In how many bars some of these tracks sound, from the first to the last."""
    ends = [int((view.notes[place].onset + view.notes[place].duration).max()) for place in places]
    return int(np.searchsorted(view.lines, max(ends, default=0)))


def _between(notes: Notes, start: int, end: int) -> Notes:
    return notes.take((notes.onset >= start) & (notes.onset < end))

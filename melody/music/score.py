"""Pieces: a `symusic.Score` in ticks, and pure functions on it. None changes its argument.

Times are ticks from the start; a quarter has `score.tpq` of them: 480 in files (or a multiple), 24 on the grid that
the model sees, on which sixteenths, triplets and 32nds are exact. 60 = middle C. A bar starts at the first tick,
wherever a meter's length is full, and wherever a time signature stands. So a pickup is a short first bar with a meter
of its own, as MIDI knows no other way. Arrays count bars from 0, people from 1.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from symusic import Track
from symusic.core import NoteTickList
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded

GRID = 24  # ticks per quarter of the quantised grid
TICKS_PER_QUARTER = 480  # of the files we write
MAX_BARS = 10_000
MAX_TPQ = 2**15 - 1  # of a MIDI file
MAX_TICK = 2**31 - 1  # symusic counts in 32 bits

__all__ = [
    "GRID",
    "MAX_BARS",
    "TICKS_PER_QUARTER",
    "Notes",
    "Score",
    "bars",
    "clip",
    "common_resolution",
    "different",
    "end_tick",
    "note_count",
    "notes_of",
    "resample",
    "set_notes",
    "transpose",
]

Ints = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)


class Notes(NamedTuple):
    """The notes of a track as four arrays of one length: onset and duration in ticks, pitch, velocity."""

    onset: Ints
    duration: Ints
    pitch: Ints
    velocity: Ints

    def take(self, index: NDArray[np.bool_] | Ints) -> "Notes":
        """The notes at `index` (a mask or positions)."""
        return Notes(*(column[index] for column in self))


def different(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return the different values, in order. `np.unique` would load numpy's masked arrays, a twentieth of a start."""
    ordered = np.sort(values)
    is_new = np.ones(len(ordered), np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


def notes_of(track: Track) -> Notes:
    """The notes of a track in the order in which they stand."""
    columns, wide = track.notes.numpy(), np.int64
    onset, duration = columns["time"].astype(wide), columns["duration"].astype(wide)
    return Notes(onset, duration, columns["pitch"].astype(wide), columns["velocity"].astype(wide))


def set_notes(track: Track, notes: Notes) -> None:
    """Give a track, one of your own making, these notes. Raises `LimitExceeded` past 2**31 ticks, symusic's range."""
    if len(notes.onset) and (notes.onset + notes.duration).max() > MAX_TICK:
        raise LimitExceeded(f"a note ends after tick {MAX_TICK:,}; remove the event that lies far away")
    columns = zip(notes, (np.int32, np.int32, np.int8, np.int8), strict=True)
    track.notes = NoteTickList.from_numpy(*(column.astype(kind) for column, kind in columns))


def end_tick(score: Score) -> int:
    """The tick at which the last note ends; 0 without notes."""
    notes = (track.notes.numpy() for track in score.tracks if track.notes)
    return max((int(np.add(n["time"], n["duration"], dtype=np.int64).max()) for n in notes), default=0)


def most_at_once(notes: Notes) -> int:
    """The largest number of notes that sound at the same time."""
    ticks = np.concatenate([notes.onset + notes.duration, notes.onset])  # ends first: they make room at equal ticks
    change = np.repeat([-1, 1], len(notes.onset))
    return int(np.cumsum(change[np.argsort(ticks, kind="stable")]).max(initial=0))


def note_count(score: Score) -> int:
    """Return the number of notes in all tracks."""
    return int(score.note_num())


def meters(score: Score) -> list[tuple[int, int, int]]:
    """The meter map as (tick, numerator, denominator): from tick 0, in order, the last of each tick; 4/4 by default."""
    by_tick = {0: (4, 4)}
    for change in sorted(score.time_signatures, key=lambda c: c.time):
        if change.numerator < 1 or change.denominator < 1:
            raise LimitExceeded(f"meter {change.numerator}/{change.denominator} at tick {change.time} has no length")
        by_tick[max(0, change.time)] = (change.numerator, change.denominator)
    return [(tick, *meter) for tick, meter in by_tick.items()]


def bars(score: Score, end: int | None = None) -> Ints:
    """The ticks of the bar lines, from 0 to the first at or after `end` (default: where the last note ends).

    Shape (bars + 1,). A meter change inside a bar cuts that bar short. Raises `LimitExceeded` past `MAX_BARS`.
    """
    end = end_tick(score) if end is None else end
    changes = [change for change in meters(score) if change[0] < end or change[0] == 0]
    lines: list[Ints] = [np.zeros(1, np.int64)]
    for (tick, numerator, denominator), after in zip(changes, [*(c[0] for c in changes[1:]), None], strict=True):
        exact = bar_length(numerator, denominator, score.tpq)
        length: int | Fraction = int(exact) if exact.denominator == 1 else exact  # a fraction is slow
        stop = end if after is None else after
        count = -(-(stop - tick) // length) if stop > tick else 0
        if count + sum(map(len, lines)) > MAX_BARS + 1:
            raise LimitExceeded(
                f"music up to tick {end:,} makes more than {MAX_BARS:,} bars; "
                "remove the event that lies far away, or cut the piece"
            )
        ticks = np.round(tick + float(length) * np.arange(1, int(count) + 1)).astype(np.int64)
        lines.append(ticks if after is None else np.minimum(ticks, after))
    result = np.concatenate(lines)
    return result[: int(np.searchsorted(result, end)) + 1]  # a rounded line may reach the end already


def has_strong_middle(numerator: Any) -> Any:
    """Tell if a bar of so many units (an int, or an array of ints) has a second strong beat, in its middle."""
    return numerator % 4 == 0


def bar_length(numerator: int, denominator: int, tpq: int) -> Fraction:
    """Ticks of a bar; a fraction where the meter does not fit the resolution."""
    return Fraction(4 * tpq * numerator, denominator)


Ticks = TypeVar("Ticks", int, Ints)


def rescale(ticks: Ticks, old_tpq: int, new_tpq: int) -> Ticks:
    """Times at another resolution, rounded half up (exactly: no floats)."""
    return (2 * ticks * new_tpq + old_tpq) // (2 * old_tpq)


def common_resolution(tpq: int) -> int:
    """The resolution at which music of `tpq` and new music both stand exactly: a common multiple with 480.

    Where MIDI, with its 15 bits, cannot count so finely, one with the grid; else the music's own, in which new notes
    lie off by less than a thousandth of a quarter.
    """
    fitting = (common for ours in (TICKS_PER_QUARTER, GRID) if (common := math.lcm(tpq, ours)) <= MAX_TPQ)
    return next(fitting, tpq if tpq <= MAX_TPQ else TICKS_PER_QUARTER)


def resample(score: Score, tpq: int) -> Score:
    """The same score at another resolution: onsets and ends are rounded, no note becomes shorter than a tick."""
    if score.tpq == tpq:
        return score.copy()
    result = score.resample(tpq, 1)  # carries every kind of event over; its rounding differs, so set times below
    for old, new in zip(score.tracks, result.tracks, strict=True):
        set_notes(new, rescaled(notes_of(old), score.tpq, tpq))
    for name in ("tempos", "time_signatures", "key_signatures", "markers"):
        _rescale_events(getattr(score, name), getattr(result, name), score.tpq, tpq)
    return result


def rescaled(notes: Notes, old_tpq: int, new_tpq: int) -> Notes:
    onset = rescale(notes.onset, old_tpq, new_tpq)
    end = rescale(notes.onset + notes.duration, old_tpq, new_tpq)
    return notes._replace(onset=onset, duration=np.maximum(1, end - onset))


def _rescale_events(old: Iterable[Any], new: Iterable[Any], old_tpq: int, new_tpq: int) -> None:
    for before, after in zip(old, new, strict=True):
        after.time = rescale(before.time, old_tpq, new_tpq)


def transpose(score: Score, semitones: int) -> Score:
    """The score `semitones` higher: pitched notes and key signatures move, drums stay.

    Raises `LimitExceeded` where a note would leave 0..127.
    """
    result = score.copy()
    if not semitones:
        return result  # with signatures as they are spelled
    for track in result.tracks:
        if track.is_drum or not len(track.notes):
            continue
        notes = notes_of(track)
        pitch = notes.pitch + semitones
        if pitch.min() < 0 or pitch.max() > 127:
            raise LimitExceeded(f"track {track.name!r}: {semitones:+d} semitones leave the MIDI range of 0 to 127")
        set_notes(track, notes._replace(pitch=pitch))
    for key in result.key_signatures:
        key.key = shift_signature(key.key, semitones)
    return result


def shift_signature(sharps: int, semitones: int, steps: int | None = None) -> int:
    """Return the key signature (sharps, flats negative) that a transposition leads to: the key of the sounding notes.

    `steps` of the scale, where they are known, choose between two spellings; else the one with fewest accidentals is
    taken: a tone below C is B flat. Octaves, and none, leave a signature as it is spelled, but for one of more than
    seven accidentals.
    """
    if not semitones % 12 and -7 <= sharps <= 7:
        return sharps
    if steps is not None and -7 <= (spelled := sharps + 7 * semitones - 12 * steps) <= 7:
        return spelled
    return (sharps + 7 * semitones + 5) % 12 - 5  # -5..6


def clip(score: Score, first_bar: int, last_bar: int) -> Score:
    """The bars from `first_bar` up to but not including `last_bar`, moved to the start.

    Notes are cut at the last bar line; the tempo, meter and key in force at the first bar line stand at tick 0, and so
    do controllers and bends.
    """
    lines = bars(score)
    start, stop = int(lines[first_bar]), int(lines[min(last_bar, len(lines) - 1)])
    result = Score(score.tpq)
    for name in ("tempos", "key_signatures", "time_signatures"):
        events = sorted(getattr(score, name), key=lambda event: event.time)
        in_force = [event for event in events if event.time <= start][-1:]
        setattr(result, name, [*_moved(in_force, 0, stop, -start), *_moved(events, start + 1, stop, -start)])
    result.markers = _moved(score.markers, start, stop, -start)
    for track in score.tracks:
        part = Track(track.name, track.program, track.is_drum)
        set_notes(part, _clip_notes(notes_of(track), start, stop))
        for name in ("controls", "pitch_bends", "pedals", "lyrics"):
            acting = _acting(getattr(track, name), start) if name in ("controls", "pitch_bends") else []
            setattr(part, name, acting + _moved(getattr(track, name), start, stop, -start))
        result.tracks.append(part)
    return result


def _acting(events: Iterable[Any], tick: int) -> list[Any]:
    """Copies, at tick 0, of the last control of each number, or of the last bend, before a tick."""
    before = sorted((event for event in events if event.time < tick), key=lambda event: event.time)
    last = {getattr(event, "number", None): place for place, event in enumerate(before)}
    return _moved([before[place] for place in sorted(last.values())], 0, tick, -tick)


def _clip_notes(notes: Notes, start: int, stop: int) -> Notes:
    notes = notes.take((notes.onset >= start) & (notes.onset < stop))
    return notes._replace(onset=notes.onset - start, duration=np.minimum(notes.duration, stop - notes.onset))


def _moved(events: Iterable[Any], start: int, stop: int, ticks: int) -> list[Any]:
    """Copies of the events from `start` up to but not including `stop`, moved, but not to before the first tick."""
    result = [event.copy() for event in events if start <= event.time < stop]
    for event in result:
        event.time = max(0, event.time + ticks)
    return result


def without_overlaps(notes: Notes) -> Notes:
    """Notes in order of (onset, pitch): of one onset and pitch the longest, and each ends before its pitch returns."""
    notes = notes.take(np.lexsort((-notes.velocity, -notes.duration, notes.onset, notes.pitch)))
    if len(notes.onset) > 1:
        same = np.diff(notes.pitch) == 0
        first = np.concatenate([[True], ~(same & (np.diff(notes.onset) == 0))])
        notes = notes.take(first)
        until_next = np.where(np.diff(notes.pitch) == 0, np.diff(notes.onset), np.iinfo(np.int64).max)
        duration = np.minimum(notes.duration, np.append(until_next, np.iinfo(np.int64).max))
        notes = notes._replace(duration=duration)
    return notes.take(np.lexsort((notes.pitch, notes.onset)))

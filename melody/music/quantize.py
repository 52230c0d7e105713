"""From any score to the grid that the model sees, and from human timing to rhythms.

`quantize` moves each event to the nearest tick of the grid. That keeps each wobble of a hand as a rhythm of its own;
so music as it was played is moved beat by beat to the subdivision that fits (`subdivisions`, `snapped`). Of sixteenths,
triplets, 32nds and sextuplets each beat takes the one with the least mean deviation, a finer one only where it is worth
its price or keeps apart what the others throw together. Onsets and ends follow the subdivision of their beat.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.errors import LimitExceeded
from melody.music.score import (
    GRID,
    Ints,
    Notes,
    Score,
    bar_length,
    bars,
    end_tick,
    meters,
    notes_of,
    rescale,
    rescaled,
    set_notes,
    shift_signature,
    without_overlaps,
)

Floats = NDArray[np.floating[Any]]
T = TypeVar("T")

BAR_UNIT = 3  # grid ticks of a 32nd note: every bar of a quantised score is a multiple of it
MAX_BAR_TICKS = 12 * GRID  # twelve quarters: the longest bar on the grid
TEMPO_STEPS = 12  # tempo bins an octave, about 6 % apart, with 120 qpm among them
LOWEST_TEMPO, HIGHEST_TEMPO = -36, 24  # bins relative to 120 qpm: 15 to 480
VELOCITY_STEP = 4  # 32 bins

STEPS = (6, 8, 3, 4)  # grid ticks: sixteenths, eighth triplets, 32nds, sextuplets
PRICES = (0.0, 0.4, 1.0, 1.2)  # grid ticks of mean deviation that a subdivision must save
LOST = 3.0  # grid ticks: what a note that falls on another one of its pitch costs
EXACT = 0.15  # grid ticks: so close to a 32nd or sextuplet an onset counts as written there
WRITTEN = 0.9  # share of such onsets from which on music counts as written
SHORTEST = 3  # grid ticks of a played note
STEADY, LEAST_SHIFT = 0.9, 0.3  # how much all onsets agree on where sixteenths fall; grid ticks worth a shift


def tempo_bin(qpm: float) -> int:
    """The bin of a tempo, 0 for 15 qpm and slower up to 60 for 480 and faster."""
    step = round(TEMPO_STEPS * float(np.log2(max(qpm, 1e-3) / 120)))
    return int(np.clip(step, LOWEST_TEMPO, HIGHEST_TEMPO)) - LOWEST_TEMPO


def tempo_of_bin(index: int) -> float:
    """The tempo (quarters per minute) that stands for a bin."""
    return float(round(120 * 2 ** ((index + LOWEST_TEMPO) / TEMPO_STEPS), 2))


def quantize(score: Score) -> Score:
    """The canonical score on the grid of `GRID` ticks a quarter: all that the model sees and that tokens keep exactly.

    Kept: tracks with notes, in order, with program and drum flag; every note's pitch, onset, duration (at least one
    tick) and velocity bin; tempo bins, meters and keys up to the last note. A note that begins while its pitch still
    sounds in the track ends the earlier one. A meter change snaps to the 32nd grid, and a bar it cuts short gets a
    meter of its own length. The result is its own quantisation.
    """
    result = Score(GRID)
    for track in score.tracks:
        if len(track.notes):
            result.tracks.append(_quantize_track(track, score.tpq))
    end = max(1, end_tick(result))  # a score without notes is one empty bar
    result.time_signatures = [TimeSignature(*change) for change in _quantize_meters(score, end)]
    final = int(bars(result, end)[-1])
    result.tempos = _quantize_tempos(score, final)
    result.key_signatures = _quantize_keys(score, final)
    return result


def _quantize_track(track: Track, tpq: int) -> Track:
    notes = rescaled(notes_of(track), tpq, GRID)
    velocity = np.clip(notes.velocity, 1, 127) // VELOCITY_STEP * VELOCITY_STEP + VELOCITY_STEP // 2
    result = Track("", track.program if not track.is_drum else 0, track.is_drum)
    set_notes(result, without_overlaps(notes._replace(velocity=velocity)))
    return result


def _quantize_meters(score: Score, end: int) -> list[tuple[int, int, int]]:
    """(tick, numerator, denominator) on the grid, each on a bar line of the ones before."""
    snapped: dict[int, tuple[int, int]] = {}
    for tick, numerator, denominator in meters(score):
        units = rescale(tick, score.tpq, GRID // BAR_UNIT)  # of 32nds
        if units * BAR_UNIT < end or units == 0:
            snapped[units * BAR_UNIT] = _fitting_meter(tick, numerator, denominator)
    changes = [(tick, *meter) for tick, meter in snapped.items()]
    result: list[tuple[int, int, int]] = []
    for (tick, numerator, denominator), after in zip(changes, [*(c[0] for c in changes[1:]), None], strict=True):
        _append_meter(result, tick, numerator, denominator)
        if after is not None and (rest := (after - tick) % int(bar_length(numerator, denominator, GRID))):
            _append_meter(result, after - rest, *_shortest_meter(rest))
    return result


def _fitting_meter(tick: int, numerator: int, denominator: int) -> tuple[int, int]:
    """Return the meter, or where its bars are too long that of bars which divide them: 7/4 for 14/4, 13/8 for 13/4."""
    length = bar_length(numerator, denominator, GRID)
    if length % BAR_UNIT == 0:
        units, most = int(length) // BAR_UNIT, MAX_BAR_TICKS // BAR_UNIT
        if units <= most:
            return numerator, denominator
        shortest = GRID // BAR_UNIT
        fitting = [count for count in range(2, units) if units % count == 0 and shortest <= units // count <= most]
        if fitting:
            count = next((count for count in fitting if numerator % count == 0 and numerator > count), fitting[0])
            return _shortest_meter(BAR_UNIT * units // count)
    raise LimitExceeded(
        f"meter {numerator}/{denominator} at tick {tick}: a bar must be a whole number of 32nds, "
        f"and at most {MAX_BAR_TICKS // GRID} quarters long or divisible into such bars"
    )


def _append_meter(changes: list[tuple[int, int, int]], tick: int, numerator: int, denominator: int) -> None:
    if changes and changes[-1][0] == tick:
        changes.pop()
    if not changes or changes[-1][1:] != (numerator, denominator):
        changes.append((tick, numerator, denominator))


def _shortest_meter(length: int) -> tuple[int, int]:
    """The meter of a bar of `length` grid ticks with the largest unit from quarters down to 32nds."""
    numerator, denominator = length // BAR_UNIT, 32
    while numerator % 2 == 0 and denominator > 4:
        numerator, denominator = numerator // 2, denominator // 2
    return numerator, denominator


def _quantize_tempos(score: Score, final: int) -> list[Tempo]:
    bins = {0: tempo_bin(120)}
    for tempo in sorted(score.tempos, key=lambda t: t.time):
        bins[rescale(max(0, tempo.time), score.tpq, GRID)] = tempo_bin(tempo.qpm)
    return [Tempo(tick, qpm=tempo_of_bin(index)) for tick, index in _changes(bins, final)]


def _quantize_keys(score: Score, final: int) -> list[KeySignature]:
    keys = {}
    for key in sorted(score.key_signatures, key=lambda k: k.time):
        sharps = shift_signature(key.key, 0)
        keys[rescale(max(0, key.time), score.tpq, GRID)] = (sharps, int(key.tonality != 0))
    return [KeySignature(tick, *key) for tick, key in _changes(keys, final)]


def _changes(values: dict[int, T], final: int) -> list[tuple[int, T]]:
    """Return tick -> value without repetitions, and without all at or after the final bar line."""
    result: list[tuple[int, T]] = []
    for tick, value in values.items():
        if (tick < final or tick == 0) and (not result or result[-1][1] != value):
            result.append((tick, value))
    return result


# ---- as it was played -----------------------------------------------------------------------------------------------


def as_written(score: Score) -> Score:
    """Return played music on the rhythms that its player meant; written music as it is.

    Onsets and ends are judged apart: a sequencer may play written onsets with ends of its own. Notes of a recording
    that all stand off the beat alike (it began on none) are moved back to it first. Of written music beats that have
    another division (quintuplets) are moved. Nothing but notes changes, and no bar is added.
    """
    parts = [notes_of(track) for track in score.tracks]
    notes = Notes(*(np.concatenate(columns) for columns in zip(*parts, strict=True))) if parts else None
    if notes is None or not len(notes.onset):
        return score
    scale, zero = GRID / score.tpq, _to_first_beat(score)
    shift = _common_shift(notes.onset * scale + zero)
    hand = _Hand.of(notes.onset * scale + zero - shift, notes.duration * scale, notes.pitch)
    if hand is None and not shift:
        return score
    line = float(bars(score)[-1]) * scale + zero  # the last one
    result = score.copy()
    for track, part in zip(result.tracks, parts, strict=True):
        start = part.onset * scale + zero - shift
        end = start + part.duration * scale
        if hand:
            start, end = hand.moved(start, end)
        start, end = np.minimum(start, line - 1), np.minimum(end, line)
        onset, stop = (np.floor(np.maximum(at - zero, 0) / scale + 0.5).astype(np.int64) for at in (start, end))
        set_notes(track, part._replace(onset=onset, duration=np.maximum(stop - onset, 1)))
    return result


@dataclass(frozen=True)
class _Hand:
    """Plan of a move: the step of each beat, whether its onsets stay, and whether all ends do."""

    steps: Ints
    onsets_stay: NDArray[np.bool_]  # of each beat
    ends_stay: bool

    @classmethod
    def of(cls, onsets: Floats, durations: Floats, pitch: Ints) -> "_Hand | None":
        """Judge all notes of a piece together; None where all of it is written. Times are grid ticks."""
        exact, ends = _is_written(onsets), _is_written(onsets + durations)
        if exact.all() and ends.mean() >= WRITTEN:
            return None
        steps = subdivisions(onsets, pitch)
        moved = np.bincount(_beat_of(onsets), ~exact, minlength=len(steps)) > 0
        return cls(steps, ~moved & (exact.mean() >= WRITTEN), bool(ends.mean() >= WRITTEN))

    def moved(self, start: Floats, end: Floats) -> tuple[Floats, Floats]:
        """Return the times where notes begin and end."""
        stays = self.onsets_stay[np.minimum(_beat_of(start), len(self.steps) - 1)]
        first = np.where(stays, start, snapped(start, self.steps))
        last = np.where(stays & self.ends_stay, end, snapped(end, self.steps))
        return first, np.maximum(last, first + np.minimum(SHORTEST, end - start))


def _is_written(ticks: Floats) -> NDArray[np.bool_]:
    """Return which times are 32nds or sextuplets, as near as makes no difference."""
    return np.minimum(np.abs(ticks - _nearest(ticks, 3)), np.abs(ticks - _nearest(ticks, 4))) <= EXACT


def _to_first_beat(score: Score) -> int:
    """Return by how many grid ticks the beats move, so that the bar after a pickup begins on one."""
    lines = bars(score)[:3]
    pickup = len(lines) > 2 and lines[1] < lines[2] - lines[1]
    return int(-rescale(lines[1], score.tpq, GRID) % GRID) if pickup else 0


def _common_shift(onsets: Floats) -> float:
    """By how many grid ticks all onsets stand off the sixteenths alike; 0 where they do not, or as good as not."""
    mean = np.exp(2j * np.pi * onsets / STEPS[0]).mean()
    shift = float(np.angle(mean)) / (2 * np.pi) * STEPS[0]
    return shift if abs(mean) >= STEADY and abs(shift) >= LEAST_SHIFT else 0.0


def subdivisions(onsets: Floats, pitch: Ints) -> Ints:
    """The step (in grid ticks) of each beat from the first tick to the last of `onsets` (in grid ticks, not rounded).

    An onset belongs to the beat that begins within a 32nd before it or less after it; a beat without onsets has 6.
    """
    beats = _beat_of(onsets)
    costs = [_costs(onsets, pitch, beats, step) + price for step, price in zip(STEPS, PRICES, strict=True)]
    steps: Ints = np.array(STEPS)[np.argmin(costs, axis=0)]
    return steps


def _costs(onsets: Floats, pitch: Ints, beats: Ints, step: int) -> Floats:
    """Return the cost of a subdivision for each beat: mean deviation and lost notes."""
    place = _nearest(onsets, step)
    first = np.zeros(len(onsets), bool)
    first[np.unique(place.astype(np.int64) * 128 + pitch, return_index=True)[1]] = True
    each = np.abs(onsets - place) + LOST * ~first
    result: Floats = np.bincount(beats, each) / np.maximum(1, np.bincount(beats))
    return result


def snapped(ticks: Floats, steps: Ints) -> Ints:
    """Times (in grid ticks, not rounded) on the subdivisions of their beats; past the last beat on sixteenths."""
    beats = _beat_of(ticks)
    step = np.where(beats < len(steps), steps[np.minimum(beats, len(steps) - 1)] if len(steps) else STEPS[0], STEPS[0])
    return _nearest(ticks, step).astype(np.int64)


def _beat_of(ticks: Floats) -> Ints:
    return np.maximum(0, np.floor((ticks + 1.5) / GRID)).astype(np.int64)


def _nearest(ticks: NDArray[np.floating[Any]], step: int | Ints) -> Floats:
    result: Floats = np.maximum(0, np.floor(ticks / step + 0.5) * step)
    return result

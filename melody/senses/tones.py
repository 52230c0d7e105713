"""From a pitch curve to notes: where they begin and end, their pitches in the singer's own tuning, their loudness.

SwiftF0's segmentation gives stretches of one pitch by dynamic programming; vibrato and short glides do not break them.
Here the tuning is found (the phase at which pitches lie about the semitones), a stretch that is struck anew without a
gap is divided where the level jumps, and slips to an overtone within a note are undone. A note begins where the level
rises fast near its first frame; where it does not (slurs, soft attacks), `LATE` seconds before that frame. The numbers
below were chosen on tunes of the valid splits, see `benchmarks/hearing.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from melody.senses.pitch import LOUDNESS_STEP, PitchCurve

HOLD_MS = 48.0  # how long a new pitch must last to be a note, see `swift_f0.segment_notes`
SHORTEST = 0.05  # seconds of a note
STRUCK_DB = 7.0  # by which the level rises within `STRUCK_FRAMES` where a note is struck again
STRUCK_FRAMES = 3
LATE = 0.045  # seconds by which a pitch is recognised after a soft attack
RISE_DB, RISE_SECONDS = 9.0, 0.02  # a fast rise, and the time that it takes
RISE_LATE = 0.015  # seconds from an attack to its steepest rise
BEFORE, AFTER = 0.08, 0.03  # seconds about a first frame in which its attack is looked for
SLOPE_FRAMES = 6  # of the shortest note whose slope counts
APART = 0.1  # seconds between two strokes
NEXT = 0.03  # seconds within which a note follows at once
SLIP = 0.3  # seconds that a slip may last
OVERTONES = (12, 19, 24)  # semitones
LOUDEST, SOFTEST = 112, 48  # velocities
VELOCITY_DB = 20.0  # below the loudest note at which one is softest


class HeardTone(NamedTuple):
    """A note in seconds; its pitch is a whole number of semitones above the tuning."""

    onset: float
    end: float
    pitch: int
    velocity: int


def heard_tones(curve: PitchCurve) -> tuple[list[HeardTone], float]:
    """Return the notes of a curve, and its tuning in semitones from that of A = 440 Hz, in [-0.5, 0.5)."""
    from swift_f0 import segment_notes

    found = segment_notes(curve.source, pitch_hold_ms=HOLD_MS)
    spans = [(n.start, n.end, 69 + 12 * float(np.log2(n.pitch_hz / 440))) for n in found]
    tuning = _tuning(spans)
    parts = [(a, b, round(pitch - tuning)) for start, end, pitch in spans for a, b in _struck(curve, start, end)]
    parts = [part for part in _joined(parts) if part[1] - part[0] >= SHORTEST]
    levels = np.array([_level(curve, start, end) for start, end, _ in parts])
    velocity = SOFTEST + (LOUDEST - SOFTEST) * np.clip(1 + (levels - levels.max(initial=0)) / VELOCITY_DB, 0, 1)
    onsets = [_attack(curve, start) for start, _, _ in parts]
    ends = [min(end, after) for (_, end, _), after in zip(parts, [*onsets[1:], np.inf], strict=False)]
    rows = zip(onsets, ends, (pitch for _, _, pitch in parts), velocity, strict=True)
    tones = [HeardTone(a, b, pitch, round(float(v))) for a, b, pitch, v in rows if 0 <= pitch <= 127 and a < b]
    return tones, tuning


def gliding(curve: PitchCurve, notes: Sequence[HeardTone]) -> tuple[float, float]:
    """Return how fast the pitch moves within notes and how well they agree on a tuning: what tells speech from tunes.

    The first is the median slope in semitones a second, the second the length of the mean of unit vectors, in [0, 1],
    that turn once a semitone; both weigh notes by their lengths.
    """
    rows = []
    for note in notes:
        first, stop = np.searchsorted(curve.time, [note.onset + LATE, note.end])
        pitch = curve.pitch[first:stop]
        if len(pitch) >= SLOPE_FRAMES:
            seconds = curve.time[first:stop] - curve.time[first]
            rows.append((abs(float(np.polyfit(seconds, pitch, 1)[0])), float(np.median(pitch)), len(pitch)))
    if not rows:
        return 0.0, 1.0
    slope, middle, weight = np.array(sorted(rows)).T
    half = np.searchsorted(np.cumsum(weight), weight.sum() / 2)
    return float(slope[half]), float(abs((weight * np.exp(2j * np.pi * middle)).sum()) / weight.sum())


def _attack(curve: PitchCurve, start: float) -> float:
    """Return when the note began whose pitch is heard from `start` on."""
    half = round(RISE_SECONDS / 2 / LOUDNESS_STEP)
    middle, last = round(start / LOUDNESS_STEP), len(curve.loudness) - half
    first = max(half, middle - round(BEFORE / LOUDNESS_STEP))
    stop = min(last, middle + round(AFTER / LOUDNESS_STEP))
    if first < stop:
        rise = curve.loudness[first + half : stop + half] - curve.loudness[first - half : stop - half]
        steepest = int(np.argmax(rise))
        if rise[steepest] >= RISE_DB:
            return max(0.0, (first + steepest) * LOUDNESS_STEP - RISE_LATE)
    return max(0.0, start - LATE)


def _tuning(spans: list[tuple[float, float, float]]) -> float:
    """Return the circular mean of pitches within the semitone, long notes counting more."""
    if not spans:
        return 0.0
    start, end, pitch = np.array(spans).T
    return float(np.angle(((end - start) * np.exp(2j * np.pi * pitch)).sum()) / (2 * np.pi))


def _struck(curve: PitchCurve, start: float, end: float) -> list[tuple[float, float]]:
    """Return the parts of a stretch of one pitch, divided where the level jumps."""
    first, stop = np.searchsorted(curve.time, [start, end])
    level = curve.level[first:stop]
    if len(level) <= STRUCK_FRAMES:
        return [(start, end)]
    before = [level[i : len(level) - STRUCK_FRAMES + i] for i in range(STRUCK_FRAMES)]
    rise = level[STRUCK_FRAMES:] - np.minimum.reduce(before)
    cuts = [start]
    for index in np.flatnonzero(rise >= STRUCK_DB):
        at = float(curve.time[first + index] + curve.time[first + index + STRUCK_FRAMES]) / 2
        if at - cuts[-1] >= APART and end - at >= SHORTEST:
            cuts.append(at)
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _joined(parts: list[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """Return notes without the octaves and twelfths that a detector slips to within a note."""
    result: list[tuple[float, float, int]] = []
    slipped = False
    for index, (start, end, pitch) in enumerate(parts):
        if result and start - result[-1][1] < NEXT and end - start < SLIP:
            before = result[-1]
            after = parts[index + 1] if index + 1 < len(parts) else None
            if abs(pitch - before[2]) in OVERTONES and after and after[2] == before[2] and after[0] - end < NEXT:
                result[-1] = (before[0], end, before[2])
                slipped = True
                continue
        if result and slipped and pitch == result[-1][2] and start - result[-1][1] < NEXT:
            result[-1] = (result[-1][0], end, pitch)
        else:
            result.append((start, end, pitch))
        slipped = False
    return result


def _level(curve: PitchCurve, start: float, end: float) -> float:
    first, stop = np.searchsorted(curve.time, [start, end])
    return float(np.max(curve.level[first : max(stop, first + 1)], initial=-120.0))

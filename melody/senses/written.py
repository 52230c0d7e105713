"""Heard notes as a score: bar lines where the player felt them, notes where they were played."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.music.key import estimate_key
from melody.music.score import TICKS_PER_QUARTER, Notes, Score, set_notes, without_overlaps
from melody.senses.metrical import QUARTER
from melody.senses.rhythm import HeardRhythm
from melody.senses.tones import HeardTone

Floats = NDArray[np.float64]
UNIT = TICKS_PER_QUARTER // QUARTER  # ticks
FEEL = 48  # ticks that a note may lie off its place: a tenth of a quarter
STEADY_SECONDS = 0.04  # mean deviation from one tempo up to which there is one
STIFFNESS = 0.25  # of a tempo that drifts: how a change from bar to bar counts against an onset that is off
PICKUP = 0.75  # of a bar: a longer one begins with a rest


def written(notes: Sequence[HeardTone], onsets: Floats, rhythm: HeardRhythm) -> Score:
    """Return notes as a score; `onsets` are the times, in seconds, of the rhythm's units."""
    lines = bar_lines(onsets, rhythm)  # seconds of each bar line, (bars + 1,)
    bar = rhythm.model.bar * UNIT  # ticks
    numerator, denominator = rhythm.model.meter
    skipped = _skipped(int(rhythm.units[0]), rhythm.model.bar) * UNIT
    score = Score(TICKS_PER_QUARTER)
    for number, qpm in _tempos(lines, rhythm):
        score.tempos.append(Tempo(max(0, number * bar - skipped), qpm=qpm))
    if skipped:
        score.time_signatures.append(TimeSignature(0, *_pickup(bar - skipped)))
    score.time_signatures.append(TimeSignature(bar - skipped if skipped else 0, numerator, denominator))
    score.tracks.append(_track(notes, onsets, rhythm, lines, skipped))
    key = estimate_key(score)
    score.key_signatures.append(KeySignature(0, key.signature, key.tonality))
    return score


def _track(notes: Sequence[HeardTone], onsets: Floats, rhythm: HeardRhythm, lines: Floats, skipped: int) -> Track:
    bar = rhythm.model.bar * UNIT
    at = np.array([(note.onset, note.end) for note in notes])
    played = np.interp(at, lines, np.arange(len(lines)) * bar)  # (N, 2) ticks
    place = rhythm.units[np.searchsorted(onsets, at[:, 0], side="right") - 1] * UNIT
    onset = np.clip(np.round(played[:, 0]), place - FEEL, place + FEEL) - skipped
    onset = np.maximum(onset, 0).astype(np.int64)
    end = np.round(played[:, 1]).astype(np.int64) - skipped
    pitch, velocity = (np.array(column, np.int64) for column in zip(*[note[2:] for note in notes], strict=True))
    track = Track("", 0)
    set_notes(track, without_overlaps(Notes(onset, np.maximum(end - onset, UNIT), pitch, velocity)))
    return track


def bar_lines(onsets: Floats, rhythm: HeardRhythm) -> Floats:
    """Return the times of the bar lines, in seconds: evenly spaced, or where the tempo drifts as the onsets say."""
    bars = rhythm.units / rhythm.model.bar  # (N,) onsets in bars
    count = int(np.ceil(bars[-1])) + 3
    slope, start = np.polyfit(bars, onsets, 1) if bars[-1] > bars[0] else (1.0, float(onsets[0]))
    even = np.asarray(start + slope * np.arange(count))
    if np.abs(onsets - np.interp(bars, np.arange(count), even)).mean() <= STEADY_SECONDS or len(onsets) < 8:
        return even
    below = np.floor(bars).astype(np.int64)
    rows = np.zeros((len(bars), count))
    rows[np.arange(len(bars)), below] = 1 - (bars - below)
    rows[np.arange(len(bars)), below + 1] += bars - below
    bend = np.zeros((count - 2, count))
    for index in range(count - 2):
        bend[index, index : index + 3] = (1, -2, 1)
    left = np.concatenate([rows, np.sqrt(STIFFNESS) * bend])
    fitted = np.linalg.lstsq(left, np.concatenate([onsets, np.zeros(count - 2)]), rcond=None)[0]
    return np.asarray(np.maximum.accumulate(fitted + 1e-6 * np.arange(count)))


def _tempos(lines: Floats, rhythm: HeardRhythm) -> list[tuple[int, float]]:
    """Return (bar, quarters a minute) where the tempo changes."""
    quarters = rhythm.model.bar / QUARTER
    result: list[tuple[int, float]] = []
    for number, seconds in enumerate(np.diff(lines).tolist()):
        qpm = round(float(np.clip(60 * quarters / max(seconds, 1e-3), 4, 1000)), 2)
        if not result or abs(qpm - result[-1][1]) > 0.01:
            result.append((number, qpm))
    return result


def _skipped(first: int, bar: int) -> int:
    """Return the units of the first bar that are left out, so that it is a pickup: whole eighths, as MIDI can say."""
    eighths = first // (QUARTER // 2) * (QUARTER // 2)
    return eighths if bar - eighths <= PICKUP * bar else 0


def _pickup(ticks: int) -> tuple[int, int]:
    """Return the meter of a pickup of so many ticks, in quarters or eighths."""
    eighth = TICKS_PER_QUARTER // 2
    return (ticks // TICKS_PER_QUARTER, 4) if ticks % TICKS_PER_QUARTER == 0 else (ticks // eighth, 8)

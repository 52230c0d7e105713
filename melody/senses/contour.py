"""The rise and fall of a voice, where no notes are to be kept: points in semitones, evenly spaced in time."""

import numpy as np

from melody.errors import UnreadableFile
from melody.senses.pitch import PitchCurve, pitch_curve
from melody.senses.recording import SILENCE_DB, decode, level_db

POINTS = 64  # of a line
LEAST_SECONDS = 0.25  # of sound with a pitch


def line_of_recording(data: bytes, name: str = "<bytes>") -> tuple[float, ...]:
    """Return the line that a recording draws: `POINTS` pitches in semitones, from its first pitch to its last.

    A voice may glide, and words have a line too. Raises `UnreadableFile` for silence, noise and damaged recordings,
    `LimitExceeded` past ten minutes, `MelodyError` where swift-f0 is not installed.
    """
    samples, rate = decode(data, name)
    if level_db(samples) < SILENCE_DB:
        raise UnreadableFile(f"{name}: a silent recording; check the microphone and record it again")
    curve = pitch_curve(samples, rate)
    if len(curve.time) < 2 or curve.voiced.sum() * (curve.time[1] - curve.time[0]) < LEAST_SECONDS:
        raise UnreadableFile(f"{name}: no pitch was heard in it; hum, sing or play the line")
    return line_of_curve(curve)


def line_of_curve(curve: PitchCurve) -> tuple[float, ...]:
    """Return the line of a curve that has a pitch somewhere; where it has none, the line leads on straight."""
    time, pitch = curve.time[curve.voiced], curve.pitch[curve.voiced]
    edges = np.linspace(time[0], time[-1], POINTS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    part = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, POINTS - 1)
    there = np.unique(part)
    middles = [float(np.median(pitch[part == one])) for one in there]
    return tuple(np.round(np.interp(centres, centres[there], middles), 2).tolist())

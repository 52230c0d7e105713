"""Recordings that tests make themselves: a voice that hums notes, with glides and vibrato; speech; noise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.render.sound import encode

RATE = 22_050
ODE = [(64, 1), (64, 1), (65, 1), (67, 1), (67, 1), (65, 1), (64, 1), (62, 1)]
ODE += [(60, 1), (60, 1), (62, 1), (64, 1), (62, 1.5), (60, 0.5), (60, 2)]  # in quarters
WALTZ = [
    (67, 2),
    (64, 1),
    (72, 2),
    (71, 1),
    (69, 2),
    (65, 1),
    (67, 3),
    (67, 2),
    (62, 1),
    (71, 2),
    (69, 1),
    (67, 3),
    (60, 3),
]

Samples = NDArray[np.float32]


def hum(
    notes: Sequence[tuple[int, float]],
    qpm: float = 100.0,
    tuning: float = 0.0,
    vibrato: float = 0.3,
    noise: float = 0.0,
) -> Samples:
    """Return notes (pitch, quarters) as a voice hums them; tuning and vibrato in semitones."""
    lengths = np.array([length for _, length in notes]) * 60 / qpm
    onset = np.concatenate([[0.3], 0.3 + np.cumsum(lengths)])
    t = np.arange(int((onset[-1] + 0.3) * RATE)) / RATE
    index = np.clip(np.searchsorted(onset, t, side="right") - 1, 0, len(notes) - 1)
    goal = np.array([pitch for pitch, _ in notes], float)[index]
    glide = np.hanning(int(0.06 * RATE))
    pitch = np.convolve(np.pad(goal, len(glide), mode="edge"), glide / glide.sum(), "same")[len(glide) : -len(glide)]
    pitch = pitch + tuning + vibrato * np.sin(2 * np.pi * 5.5 * t)
    phase = np.cumsum(440 * 2 ** ((pitch - 69) / 12)) * 2 * np.pi / RATE
    sound = sum(np.sin(k * phase) / k**1.5 for k in range(1, 7))
    since, left = t - onset[index], onset[index + 1] - t
    level = np.clip(np.minimum(since, left) / 0.03, 0, 1) * ((t >= onset[0]) & (t < onset[-1]))
    mixed = sound * level + noise * np.random.default_rng(1).normal(size=len(t))
    return np.asarray(mixed / np.abs(mixed).max() * 0.7, np.float32)


def speech(seconds: float = 8.0) -> Samples:
    """Return a voice whose pitch glides all the time, as in speech."""
    draw = np.random.default_rng(4)
    t = np.arange(int(seconds * RATE)) / RATE
    syllables = np.concatenate([[0.0], np.cumsum(draw.uniform(0.12, 0.3, 200))])
    pitch = np.interp(t, syllables, draw.normal(0, 4, len(syllables)))
    phase = np.cumsum(130 * 2 ** (pitch / 12)) * 2 * np.pi / RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, 12))
    return np.asarray(sound / np.abs(sound).max() * 0.7, np.float32)


def wav(samples: Samples, kind: str = "WAV") -> bytes:
    """Return samples as the bytes of a file."""
    return encode(samples[:, None], RATE, kind)

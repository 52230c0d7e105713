"""Music that anyone could have: short pieces of two voices, each seed another."""

import numpy as np
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.music.score import Notes, Score, set_notes


def tune(seed: int, bars: int = 8) -> Score:
    """Eight bars, or so many, of two voices that walk a scale at random."""
    generator, count = np.random.default_rng(seed), 3 * bars
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 3, 4)], [Tempo(0, qpm=100)]
    score.key_signatures = [KeySignature(0, 0, 0)]
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    for name, low in (("High", 72), ("Low", 48)):
        steps = np.abs(np.cumsum(generator.integers(-2, 3, count))) % 7
        track = Track(name, 0, False)
        set_notes(track, Notes(np.arange(count) * 480, np.full(count, 480), low + scale[steps], np.full(count, 82)))
        score.tracks.append(track)
    return score

"""Primers of each kind, as musicians write them: a tune, four voices, a melody with piano, a drummer."""

from collections.abc import Sequence

import numpy as np
from symusic import Tempo, TimeSignature, Track

from melody.music.score import Notes, Score, set_notes

TUNE = [67, 69, 71, 72, 74, 72, 71, 69]
CHORDS = [(48, 55, 64), (50, 57, 65), (52, 59, 67), (53, 60, 69)]


def part(name: str, pitches: Sequence[int | tuple[int, ...]], program: int = 0, drums: bool = False) -> Track:
    """A quarter for each pitch or chord, twice over."""
    chords = [(p,) if isinstance(p, int) else p for p in (*pitches, *pitches)]
    rows = [(480 * n, 480, pitch, 80) for n, chord in enumerate(chords) for pitch in chord]
    track = Track(name, program, drums)
    set_notes(track, Notes(*np.array(rows, np.int64).T))
    return track


def primer(*tracks: Track) -> Score:
    """A score of these, in 4/4."""
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=92)]
    score.tracks = list(tracks)
    return score


def tune(name: str = "Fiddle", program: int = 40, up: int = 0) -> Track:
    """A single line."""
    return part(name, [pitch + up for pitch in TUNE], program)


def piano(name: str = "Keys", program: int = 4) -> Track:
    """Chords of three notes."""
    return part(name, [*CHORDS, *CHORDS], program)


def kit(name: str = "Kit") -> Track:
    """A drummer's pattern."""
    return part(name, [(36, 42), 42, (38, 42), 42] * 2, drums=True)


def voices() -> list[Track]:
    """Four single lines."""
    lows = {"Sopran": 0, "Alt": -6, "Männer": -12, "Generalbass": -20}
    return [tune(name, 52 + number % 3, up) for number, (name, up) in enumerate(lows.items())]


PRIMERS = {
    "folk": primer(tune()),
    "chorale": primer(*voices()),
    "pop": primer(piano(), tune("Lead", 80)),
    "drums": primer(kit()),
}

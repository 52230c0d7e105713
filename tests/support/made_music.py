"""Made music for tests of corpora: tracks from columns, scores, grooves of a drummer."""

from pathlib import Path

import numpy as np
from symusic import TimeSignature, Track

from melody.formats.midi.writer import dumps
from melody.music.score import Notes, Score, set_notes

CORPORA = Path(__file__).parents[2] / "corpora"
# Archives at hand with the music of recipes.
ARCHIVES = {
    "folk": "cre.tar.xz",
    "pop": "pop909.tar.xz",
    "drums": "groove.tar.xz",
    "lead": "leads.tar.xz",
    "lied": "lieder.tar.xz",
    "quartet": "quartets.tar.xz",
}


def one_track(
    onset: list[float] | np.ndarray, pitch: list[int] | int = 60, *, velocity: list[int] | int = 80, drums: bool = False
) -> Track:
    """A track of notes of a sixteenth at these ticks."""
    count = len(onset)
    columns = (np.array(onset), np.full(count, 120), np.broadcast_to(pitch, count), np.broadcast_to(velocity, count))
    track = Track("x", 0, drums)
    set_notes(track, Notes(*(column.astype(np.int64) for column in columns)))
    return track


def score_of(*tracks: Track, meter: tuple[int, int] = (4, 4)) -> Score:
    result = Score(480)
    result.time_signatures = [TimeSignature(0, *meter)]
    for track in tracks:
        result.tracks.append(track)
    return result


def drummer(seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    onset = np.sort(generator.choice(64, 20, replace=False)) * 120
    return dumps(score_of(one_track(onset, generator.choice([36, 38, 42], 20).tolist(), drums=True)))

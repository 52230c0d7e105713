"""Articulation: new notes of a track end as early as the musician ends those of the same length.

What was played is read as the rhythm that was meant: a short eighth is an eighth to a model, and so are those that it
writes. Without this a staccato bass would go on legato. Of each track the usual share of a length that its notes sound
is taken, of all lengths where one is new; none becomes longer than it is written. Who plays with the pedal down is left
alone: fingers leave the keys early then, and new bars have no pedal.
"""

from collections.abc import Mapping

import numpy as np
from symusic import Track

from melody.generation.assemble import NewNote
from melody.generation.primer.primer_view import Primer
from melody.music.score import Ints, notes_of

LEAST = 4  # notes that show how a length is played
PEDAL = 64  # controller
ALL = 0  # key of the share for lengths that a track has hardly had


class Articulation:
    """The articulation of a primer's tracks; without a primer notes are as they are written."""

    def __init__(self, primer: Primer | None) -> None:
        self._primer = primer
        self._shares: dict[int, Mapping[int, float]] = {}

    def played(self, note: NewNote) -> NewNote:
        """Return a note as its track plays it; ticks at 480 a quarter."""
        shares = self._shares_of(note.track)
        share = shares.get(note.duration, shares.get(ALL, 1.0))
        return note if share == 1 else note._replace(duration=max(1, round(note.duration * share)))

    def _shares_of(self, track: int) -> Mapping[int, float]:
        if track not in self._shares:
            scores = (self._primer.score, self._primer.view.written) if self._primer else ()
            both = [score.tracks[track] for score in scores if track < len(score.tracks)]
            self._shares[track] = shares_of(*both) if both else {}
        return self._shares[track]


def shares_of(played: Track, written: Track) -> dict[int, float]:
    """The share of each written length that a track's notes sound, at most 1, and under `ALL` that of all of them."""
    if played.is_drum or played.pedals or any(control.number == PEDAL for control in played.controls):
        return {}
    sounds, lengths = notes_of(played).duration, notes_of(written).duration
    found = {length: _usual(sounds, lengths, lengths == length) for length in np.unique(lengths).tolist() if length}
    return {length: share for length, share in found.items() if share} | {
        ALL: _usual(sounds, lengths, lengths > 0) or 1.0
    }


def _usual(sounds: Ints, lengths: Ints, which: np.ndarray) -> float:
    """The usual share that some notes sound; 0 where they are too few to tell."""
    return min(1.0, float(np.median(sounds[which] / lengths[which]))) if which.sum() >= LEAST else 0.0

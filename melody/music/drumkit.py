"""Drums as hits: what a drummer strikes, when and how loudly, on as few drums of General MIDI as tell the kit's apart.

How long the note of a hit lasts says nothing, and every file has a length of its own: a hit is a sixteenth throughout.
Second sounds of one drum (its other tuning, its rim, its edge) become the first. Percussion beside the kit stays.
"""

from collections.abc import Mapping

import numpy as np

from melody.music.score import GRID, Ints, Notes, without_overlaps

HIT = GRID // 4  # ticks
FOLD = {22: 42, 26: 46, 35: 36, 40: 38, 41: 43, 47: 45, 50: 48, 52: 57, 55: 49, 59: 51}


def folded(pitch: Ints, fold: Mapping[int, int] = FOLD) -> Ints:
    """The drum that stands for each."""
    return np.array([fold.get(one, one) for one in pitch.tolist()], np.int64)


def as_hits(notes: Notes) -> Notes:
    """Notes on the grid as hits in order of (onset, pitch); of those of one drum that fall together the loudest."""
    return without_overlaps(notes._replace(duration=np.full_like(notes.onset, HIT)))

"""Drums as hits: what a drummer strikes, when and how loudly, on as few drums of General MIDI as tell the kit's apart.

How long the note of a hit lasts says nothing, and every file has a length of its own: a hit is a sixteenth throughout.
Second sounds of one drum (its other tuning, its rim, its edge) become the first. Percussion beside the kit stays.
"""

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np

from melody.music.score import GRID, Ints, Notes, without_overlaps

HIT = GRID // 4  # ticks
KICK, SNARE, HAT, PEDAL_HAT, OPEN_HAT = 36, 38, 42, 44, 46
HATS, CRASHES = (HAT, PEDAL_HAT, OPEN_HAT), (49, 57)
KEEPERS = (HATS, (51, 53), (54,), (69,), (70,), (82,))  # of time: rides, tambourine, cabasa, shakers
KEEPING = frozenset(drum for keepers in KEEPERS for drum in keepers)
FOLD = {22: 42, 26: 46, 35: 36, 40: 38, 41: 43, 47: 45, 50: 48, 52: 57, 55: 49, 59: 51}

STANDS_FOR = {39: 38, 54: 42, 69: 42, 70: 42, 82: 42}  # claps for a snare; tambourine, cabasa, shakers for a hi-hat


def folded(pitch: Ints, fold: Mapping[int, int] = FOLD) -> Ints:
    """The drum that stands for each."""
    return np.array([fold.get(one, one) for one in pitch.tolist()], np.int64)


def drums_of(pitch: Ints, known: Collection[int]) -> dict[int, int]:
    """The drum as which each sound of a kit is read, by one who knows these drums.

    A sound that is not known is read as the drum that it stands for, where the kit has not that drum itself.
    """
    sounds = {int(one): FOLD.get(int(one), int(one)) for one in np.unique(pitch)}
    there = set(sounds.values())
    strange = {one: STANDS_FOR[drum] for one, drum in sounds.items() if drum not in known and drum in STANDS_FOR}
    return sounds | {one: drum for one, drum in strange.items() if drum in known and drum not in there}


def sounds_of(pitch: Ints, drums: Mapping[int, int]) -> dict[int, int]:
    """The sound that a kit mostly has for each drum as which some are read."""
    result: dict[int, int] = {}
    for sound, _ in Counter(pitch.tolist()).most_common():
        result.setdefault(drums[sound], sound)
    return result


def as_hits(notes: Notes) -> Notes:
    """Notes on the grid as hits in order of (onset, pitch); of those of one drum that fall together the loudest."""
    return without_overlaps(notes._replace(duration=np.full_like(notes.onset, HIT)))

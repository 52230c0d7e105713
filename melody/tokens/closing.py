"""The close of a plan of chords: where a piece ends at home, on the tonic over its root, which stands on a strong beat.

    step     ...  2      3   |  0      1      2      3          the last bar; in 4/4 steps 0 and 2 are strong
    chord    ...  Dm7    G   |  C      G7     C      none       closes: C stands at step 2, and nothing comes after it

A plan is drawn again until it closes, so it is as the harmonist draws those that do, approach and all (rejection
sampling). Where given notes weigh, plans grow side by side, and from the last strong beat on only the tonic may come.
In minor the third may be major (Picardy).
"""

import numpy as np
from numpy.typing import NDArray

from melody.music.chords import MAJOR, MAJOR_SEVENTH, MINOR, MINOR_SEVENTH, OCTAVE, SEVENTH
from melody.music.score import has_strong_middle

MOST_TRIES = 16  # the last plan stays as it is: the last bar may have to be as one that ends elsewhere
TONIC = 1  # root and bass, over the tonic
DOMINANTS, GOALS = (MAJOR, SEVENTH), (MAJOR, MINOR, SEVENTH, MAJOR_SEVENTH, MINOR_SEVENTH)
FIFTH = 7
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def strong_places(places: int, units: int) -> tuple[int, ...]:
    """The strong ones among the steps of a bar of so many units."""
    return (0, places // 2) if has_strong_middle(units) and places % 2 == 0 else (0,)


def closing_qualities(is_minor: bool) -> tuple[int, ...]:
    """The qualities of tonics that close."""
    return (MAJOR, MINOR) if is_minor else (MAJOR,)


def falls_of(before: Ints, kinds: int) -> NDArray[np.float32]:
    """Mark of each root and quality (N, 13 * kinds) whether it lies a fifth below a dominant before (N, 3).

    Such a fall closes a phrase as an authentic cadence does, or opens out to another degree.
    """
    root, kind = before[:, 0], before[:, 1] - 1
    result = np.zeros((len(before), 1 + OCTAVE, kinds), np.float32)
    rows = np.flatnonzero((root > 0) & np.isin(kind, DOMINANTS))
    result[rows[:, None], 1 + (root[rows, None] - 1 - FIFTH) % OCTAVE, GOALS] = 1
    return result.reshape(len(before), -1)


def closes(codes: Ints, may_close: Flags, is_minor: bool) -> bool:
    """Tell whether chords (S, 3) close at one of the steps (S,) at which they may; True where there is none."""
    if not may_close.any():
        return True
    home = (codes[:, [0, 2]] == TONIC).all(axis=1)
    home &= np.isin(codes[:, 1] - 1, closing_qualities(is_minor))
    stop = len(codes) - int((codes[::-1, 0] > 0).argmax())  # behind what sounds last
    start = stop - int((~home[:stop][::-1]).argmax()) if not home[:stop].all() else 0
    return bool(may_close[start:stop].any())

"""The contour of a tune: how high it lies in each half of a bar, beside its own middle.

    pitch      62 64 66 67 | 69    71    | 67 66 64    | 62
    level      below       | above       | middle      | far below      of `LEVELS`, in semitones by `EDGES`

A model that is told these levels follows a line that is hummed or drawn: it composes notes of its own along it. A level
is relative, so it stays where a piece is transposed. Halves of bars are those of `melody.tokens.harmony`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Ints, Notes, Score, bars
from melody.tokens.harmony import steps_of, tune_of

EDGES = (-9.0, -6.5, -4.5, -2.75, -1.0, 1.0, 2.75, 4.5, 6.5, 9.0)  # semitones between two levels
LEVELS = len(EDGES) + 1
Heights = NDArray[np.float64]


def contour_of(score: Score) -> NDArray[np.int16]:
    """The level (ticks,) of the tune of a quantised score at each tick up to its last bar line, 1 to `LEVELS`.

    Of a score without a tune each is 0, which says nothing.
    """
    lines, tune = bars(score), tune_of(score)
    if not len(tune.onset):
        return np.zeros(int(lines[-1]), np.int16)
    edges = np.array([*(tick for bar in steps_of(score, "halves") for tick in bar), lines[-1]])
    heights = means(curve_of(tune, int(lines[-1])), edges)
    return np.repeat(levels(heights), np.diff(edges))


def curve_of(line: Notes, ticks: int) -> Heights:
    """The pitch (ticks,) of a line at each tick; a rest has that of the note before it, at first the one after it."""
    order = np.argsort(line.onset, kind="stable")
    place = np.searchsorted(line.onset[order], np.arange(ticks), side="right") - 1
    return line.pitch[order][np.maximum(place, 0)].astype(np.float64)


def means(curve: Heights, edges: Ints) -> Heights:
    """The mean (S,) of a curve between edges (S + 1,)."""
    total = np.append(0.0, np.cumsum(curve))
    result: Heights = np.diff(total[edges]) / np.diff(edges)
    return result


def levels(heights: Heights) -> NDArray[np.int16]:
    """The level (S,) of each height, in semitones, beside their middle."""
    return np.asarray(1 + np.searchsorted(EDGES, heights - heights.mean()), np.int16)


def drawn_along(line: Sequence[float], edges: Ints) -> Heights:
    """The height (S,) of a line of two points or more in each of the steps between edges (S + 1,), over all of which
    it is stretched."""
    ticks = np.linspace(edges[0], edges[-1], len(line))
    between = np.arange(edges[0], edges[-1])
    return means(np.interp(between, ticks, line), edges - edges[0])

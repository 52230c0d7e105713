"""Human timing onto the grid: beat by beat the subdivision that fits.

Of sixteenths, triplets, 32nds and sextuplets each beat takes the one with the least mean deviation, a finer one only
where it is worth its price or keeps apart what the others throw together. Onsets and ends follow the subdivision of
their beat, as `melody.music.score.quantize` alone would keep each wobble of the hand as a rhythm of its own.
"""

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID, Ints

Floats = NDArray[np.float64]

STEPS = (6, 8, 3, 4)  # grid ticks: sixteenths, eighth triplets, 32nds, sextuplets
PRICES = (0.0, 0.4, 1.0, 1.2)  # grid ticks of mean deviation that a subdivision must save
LOST = 3.0  # grid ticks: what a note that falls on another one of its pitch costs


def subdivisions(onsets: Floats, pitch: Ints) -> Ints:
    """The step (in grid ticks) of each beat from the first tick to the last of `onsets` (in grid ticks, not rounded).

    An onset belongs to the beat that begins within a 32nd before it or less after it; a beat without onsets has 6.
    """
    beats = _beat_of(onsets)
    costs = [_costs(onsets, pitch, beats, step) + price for step, price in zip(STEPS, PRICES, strict=True)]
    steps: Ints = np.array(STEPS)[np.argmin(costs, axis=0)]
    return steps


def _costs(onsets: Floats, pitch: Ints, beats: Ints, step: int) -> Floats:
    """What a subdivision costs each beat: mean deviation and lost notes."""
    place = _nearest(onsets, step)
    first = np.zeros(len(onsets), bool)
    first[np.unique(place.astype(np.int64) * 128 + pitch, return_index=True)[1]] = True
    each = np.abs(onsets - place) + LOST * ~first
    result: Floats = np.bincount(beats, each) / np.maximum(1, np.bincount(beats))
    return result


def snapped(ticks: Floats, steps: Ints) -> Ints:
    """Times (in grid ticks, not rounded) on the subdivisions of their beats; past the last beat on sixteenths."""
    beats = _beat_of(ticks)
    step = np.where(beats < len(steps), steps[np.minimum(beats, len(steps) - 1)] if len(steps) else STEPS[0], STEPS[0])
    return _nearest(ticks, step).astype(np.int64)


def _beat_of(ticks: Floats) -> Ints:
    return np.maximum(0, np.floor((ticks + 1.5) / GRID)).astype(np.int64)


def _nearest(ticks: Floats, step: int | Ints) -> Floats:
    result: Floats = np.maximum(0, np.floor(ticks / step + 0.5) * step)
    return result

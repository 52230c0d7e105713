"""Bars as a musician counts them."""

import numpy as np

from melody.music.score import Score, bars


def pickup_bars(score: Score) -> int:
    """1 where the first bar is shorter than the second, else 0."""
    lengths = np.diff(bars(score))
    return int(len(lengths) > 1 and lengths[0] < lengths[1])


def whole_bars(score: Score) -> int:
    """Return the number of bars; a pickup counts as none."""
    return len(bars(score)) - 1 - pickup_bars(score)

"""Intervals from each pitch to every pitch that the context tells of, as places in a row of scores.

A melody's next note, a chord's third, a cadence are intervals, not pitches. For each pitch that may come, an
`IntervalView` says which score belongs to its interval to each reference: the last pitch of every voice, the bass, the
tonic of the key, the root of a chord. A model fills the scores (`melody.models.intervals`); of music it sees nothing.

For references A of 2 x 2 + 1 intervals and B of 12, pitches 60 to 64, A = 62 and B unknown::

    scores  A-2 A-1 A+0 A+1 A+2  B+0 ... B+11  0
    places  60: 0    61: 1    62: 2    63: 3    64: 4     of A
            60: 17   61: 17   62: 17   63: 17   64: 17    of B: the last score is always 0
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.tokens.channels import Channel

OCTAVE = 12


@dataclass(frozen=True)
class IntervalView:
    """Knowledge of pitches for a model, as plain numbers."""

    tokens: NDArray[np.int64]  # (G, P): the token of each pitch, in G kinds that have scores of their own
    columns: NDArray[np.int64]  # (R,): the context channels of the references
    first: NDArray[np.int64]  # (R,): the row of `places` of a reference's value 0
    places: NDArray[np.int64]  # (values of all references, P): which score such a value gives each pitch
    scores: int  # F: how many there are, without the last, which is 0


def interval_view(
    tokens: Sequence[range], lowest: int, channels: Sequence[Channel], names: Sequence[str], widest: int
) -> IntervalView:
    """The view of pitches from `lowest` up, whose tokens stand in `tokens` (a range for each kind of pitch token).

    `names` are the channels that tell of references. To a pitch, intervals of up to `widest` semitones count; to a
    pitch class, all twelve, for each mode or quality that the channel knows.
    """
    pitches = np.arange(lowest, lowest + len(tokens[0]))
    columns = [next(i for i, channel in enumerate(channels) if channel.name == name) for name in names]
    found = [_intervals(channels[column], pitches, widest) for column in columns]
    *offsets, total = np.cumsum([0, *(count for _, count in found)]).tolist()
    places = [np.where(table < 0, total, table + offset) for (table, _), offset in zip(found, offsets, strict=True)]
    first = np.cumsum([0, *map(len, places)])[:-1]
    ids = np.array([list(kind) for kind in tokens])
    return IntervalView(ids, np.array(columns), first, np.concatenate(places), total)


def _intervals(channel: Channel, pitches: NDArray[np.int_], widest: int) -> tuple[NDArray[np.int64], int]:
    """For each value of a channel and each pitch which of its intervals that is (-1: none); and how many it has."""
    value = np.arange(channel.size)[:, None] - 1
    if channel.moves == "pitch":
        interval = pitches - value
        known = (value >= 0) & (value < 128) & (np.abs(interval) <= widest)
        return np.where(known, interval + widest, -1), 2 * widest + 1
    interval = (pitches - value) % OCTAVE + value // OCTAVE * OCTAVE
    return np.where(value >= 0, interval, -1), channel.size - 1

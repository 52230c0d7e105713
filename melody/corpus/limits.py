"""Limits of transposition: every track stays in the range that the train split has."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

_MIDI_RANGE = (0, 127)  # of a drum track, and of one without notes


class Ranged(Protocol):
    """A piece, as far as its pitches matter."""

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]: ...

    @property
    def shifts(self) -> tuple[int, int]: ...


def pitch_limits(train: Sequence[Ranged], ranges: Literal["tracks", "corpus"]) -> list[tuple[int, int]]:
    """Lowest and highest pitch of each track (by index) over the train split, or one such pair for all tracks."""
    width = max((len(piece.ranges) for piece in train), default=0)
    by_track = [[piece.ranges[i] for piece in train if i < len(piece.ranges)] for i in range(width)]
    by_track = [[pair for pair in group if pair != _MIDI_RANGE] for group in by_track]
    groups = by_track if ranges == "tracks" else [[pair for group in by_track for pair in group]]
    return [
        (min(low for low, _ in group), max(high for _, high in group)) if group else _MIDI_RANGE for group in groups
    ]


def allowed_shifts(piece: Ranged, limits: Sequence[tuple[int, int]], max_shift: int) -> tuple[int, int]:
    """Least and greatest transposition that keeps every track within its limits; 0 is always allowed.

    The last of `limits` holds for all further tracks; a drum track moves nowhere and limits nothing.
    """
    least, greatest = np.clip(piece.shifts, -max_shift, max_shift)
    for index, (low, high) in enumerate(piece.ranges):
        if (low, high) != _MIDI_RANGE and limits:
            lowest, highest = limits[min(index, len(limits) - 1)]
            least, greatest = max(least, lowest - low), min(greatest, highest - high)
    return int(min(0, least)), int(max(0, greatest))

"""`--density`: how many onsets a bar has, held by a rule and not only asked of the model.

A bar is of low, medium or high density by its onsets (in any track; several at once are one) a quarter, within limits
that part the bars of the training music in thirds. Too many onsets are easily forbidden. Enough of them are ensured by
leaving room: at every moment some track is free early enough for the onsets still missing, `SPACING` apart, to fit in
before the bar line; that bounds the next position, and the length of the last note that could leave a track free.
"""

from collections.abc import Mapping

import numpy as np

from melody.generation.rules import NEVER, Fixed, Mask, Room, Rule
from melody.score import GRID
from melody.tokens import Reader, Vocabulary
from melody.tokens.channels import DENSITIES
from melody.tokens.vocabulary import MAX_DURATION

SPACING = GRID // 4  # ticks: onsets that are still missing may have to follow each other as sixteenths


def onset_bounds(density: str, limits: tuple[float, float], bar_ticks: int) -> tuple[int, int]:
    """The least and most onsets of a bar of this density; a bar always may have one."""
    low, medium = (int(limit * bar_ticks / GRID + 1e-9) for limit in limits)
    least, most = {"low": (0, low), "medium": (low + 1, medium), "high": (medium + 1, NEVER)}[density]
    fitting = max(1, bar_ticks // SPACING)
    return min(least, max(most, 1), fitting), max(most, 1)


def hold_density(
    vocabulary: Vocabulary,
    density: str,
    limits: tuple[float, float],
    rooms: Mapping[int, Room],
    fixed: Fixed | None,
    first: int,
    stop: int,
) -> Rule:
    """Every bar from `first` to before `stop` has this density; where notes are fixed, as far as they let it.

    It comes after `playable`, whose `rooms` these are.
    """
    positions, durations = vocabulary.ids["Position"], vocabulary.ids["Duration"]
    sustain, bar_id, end_id = (vocabulary.ids[kind][0] for kind in ("Sustain", "Bar", "End"))
    free = {track: room for track, room in rooms.items() if not fixed or track not in fixed.tracks}
    assert density in DENSITIES

    def rule(reader: Reader) -> Mask | None:
        if not first - 1 <= reader.bar < stop:
            return None
        if reader.kind in ("Pitch", "Drum", "Sustain"):
            return lengths(reader) if reader.track in free else None
        return places(reader) if reader.bar >= first else None

    def places(reader: Reader) -> Mask:
        """Not too many positions, and none that leaves too little of the bar."""
        least, most = onset_bounds(density, limits, reader.bar_ticks)
        mask = np.ones(len(vocabulary), bool)
        if reader.onsets >= most:
            mask[positions.start : positions.stop] = False
            if fixed and (tick := fixed.next_tick(reader)) < reader.bar_start + reader.bar_ticks:
                mask[positions.start + tick - reader.bar_start] = True  # what is fixed comes all the same
        missing = least - reader.onsets
        if missing > 0:
            mask[bar_id] = mask[end_id] = False
            mask[positions.start + reader.bar_ticks - SPACING * missing + 1 : positions.stop] = False
        return mask

    def deadline(reader: Reader) -> int:
        """The latest tick at which some track must be free."""
        line = reader.bar_start + reader.bar_ticks
        missing = onset_bounds(density, limits, reader.bar_ticks)[0] - reader.onsets if reader.bar >= first else 0
        if missing > 0:
            return line - SPACING * missing
        if reader.bar + 1 < stop:  # the next bar, were it as long as this one
            return line + reader.bar_ticks - SPACING * onset_bounds(density, limits, reader.bar_ticks)[0]
        return NEVER

    def lengths(reader: Reader) -> Mask | None:
        """The note under way ends in time where no other track does."""
        latest = deadline(reader)
        others = (room.free_tick(reader, track) for track, room in free.items() if track != reader.track)
        if min(others, default=NEVER) <= latest:
            return None
        room = latest - reader.tick - reader.length
        if room < 1:
            return None
        mask = np.ones(len(vocabulary), bool)
        mask[durations.start + room : durations.stop] = False
        mask[sustain] = room > MAX_DURATION
        return mask

    return rule

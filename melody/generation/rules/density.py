"""`--density`: how many onsets a bar has, held by a rule and not only asked of the model.

A bar is of low, medium or high density by its onsets (in any track; several at once are one) a quarter, within limits
that part the bars of the training music in thirds. Too many onsets are easily forbidden. Enough of them are ensured by
leaving room: at every moment some track is free early enough for the onsets still missing, `SPACING` apart, to fit in
before the bar line; that bounds the next position, and the length of the last note that could leave a track free.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from melody.generation.rules.contract import NEVER, Mask
from melody.generation.rules.playable import Fixed, Room
from melody.music.score import GRID
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import MAX_DURATION

SPACING = GRID // 4  # ticks: onsets that are still missing may have to follow each other as sixteenths


def onset_bounds(density: str, limits: tuple[float, float], bar_ticks: int) -> tuple[int, int]:
    """The least and most onsets of a bar of this density; a bar always may have one."""
    low, medium = (int(limit * bar_ticks / GRID + 1e-9) for limit in limits)
    least, most = {"low": (0, low), "medium": (low + 1, medium), "high": (medium + 1, NEVER)}[density]
    fitting = max(1, bar_ticks // SPACING)
    return min(least, max(most, 1), fitting), max(most, 1)


@dataclass(frozen=True)
class HoldDensity:
    """The rule that every bar from `first` to before `stop` has this density; where notes are fixed, as they let it.

    Where the piece `closes`, its last bar may have fewer onsets: it rests on its chord. Comes after `playable`.
    """

    vocabulary: Vocabulary
    density: str
    limits: tuple[float, float]
    free: Mapping[int, Room]  # the tracks without fixed notes
    fixed: Fixed | None
    first: int
    stop: int
    closes: bool

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if not self.first - 1 <= reader.bar < self.stop:
            return None
        if reader.kind in ("Pitch", "Drum", "Sustain"):
            return self._lengths(reader) if reader.track in self.free else None
        return self._places(reader) if reader.bar >= self.first else None

    def _bounds(self, bar: int, bar_ticks: int) -> tuple[int, int]:
        """The least and most onsets of a bar."""
        least, most = onset_bounds(self.density, self.limits, bar_ticks)
        is_free = bar < self.first or bar >= self.stop or (self.closes and bar + 1 == self.stop)
        return (0 if is_free else least), most

    def _places(self, reader: Reader) -> Mask:
        """Not too many positions, and none that leaves too little of the bar."""
        ids, mask = self.vocabulary.ids, np.ones(len(self.vocabulary), bool)
        positions = ids["Position"]
        least, most = self._bounds(reader.bar, reader.bar_ticks)
        if reader.onsets >= most:
            mask[positions.start : positions.stop] = False
            if self.fixed and (tick := self.fixed.next_tick(reader)) < reader.bar_start + reader.bar_ticks:
                mask[positions.start + tick - reader.bar_start] = True  # what is fixed comes all the same
        missing = least - reader.onsets
        if missing > 0:
            mask[[ids["Bar"][0], ids["End"][0]]] = False
            mask[positions.start + reader.bar_ticks - SPACING * missing + 1 : positions.stop] = False
        return mask

    def _deadline(self, reader: Reader) -> int:
        """The latest tick at which some track must be free."""
        line = reader.bar_start + reader.bar_ticks
        missing = self._bounds(reader.bar, reader.bar_ticks)[0] - reader.onsets
        if missing > 0:
            return line - SPACING * missing
        least = self._bounds(reader.bar + 1, reader.bar_ticks)[0]  # of the next bar, were it as long as this one
        return line + reader.bar_ticks - SPACING * least if least else NEVER

    def _lengths(self, reader: Reader) -> Mask | None:
        """The note under way ends in time where no other track does."""
        latest = self._deadline(reader)
        others = (room.free_tick(reader, track) for track, room in self.free.items() if track != reader.track)
        room = latest - reader.tick - reader.length
        if room < 1 or min(others, default=NEVER) <= latest:
            return None
        durations, mask = self.vocabulary.ids["Duration"], np.ones(len(self.vocabulary), bool)
        mask[durations.start + room : durations.stop] = False
        mask[self.vocabulary.ids["Sustain"][0]] = room > MAX_DURATION
        return mask

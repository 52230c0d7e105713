"""Rule of entries: a track of a band whose bar is planned to be new comes in by some place in it.

A plan may say that drums play, and the model write none: what it then reads is music without drums, it goes on so, and
what returns brings silence back. So in a bar that is planned as `first`, `new`, or hardly alike to another, each track
begins a note by its place, unless one sounds past it: drums on the downbeat (.99 of their bars do; train), others by
the middle (.95 to .99 of the bars of each role). Bars that return have what stood there (`rules.returns`).

Drums that are added to music begin such bars with the kick (players in .74): the model has no kick in meters in which
its bands have none (12/8), and often misses the downbeat where nobody else plays a rhythm.
"""

from collections.abc import Mapping

import numpy as np

from melody.generation.rules.contract import Mask, way_to, without
from melody.generation.rules.native_form import NativeForm
from melody.generation.rules.returns import UNDER_WAY, WHOLE, begins_anew
from melody.music.drumkit import KICK
from melody.music.score import GRID
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import MAX_TRACKS

EIGHTH = GRID // 2  # ticks: places in meters of odd length are those that the training music has


class ComeIn:
    """The rule that tracks come in where their plan says so. `latest` are quarters of a bar by track."""

    def __init__(self, vocabulary: Vocabulary, latest: Mapping[int, int], first: int, kick: int = -1) -> None:
        """The new bars are those from `first` on; the track `kick` (-1: none) begins with the kick."""
        self.vocabulary = vocabulary
        self.latest = dict(sorted(latest.items()))
        self.first, self.kick = first, kick
        table = np.array([[latest.get(track, -1)] for track in range(MAX_TRACKS)])
        self.native = NativeForm("planned entries", (first, kick), table=table)
        self._no_note = without(vocabulary, "Pitch", "Drum", "Velocity")
        self._no_way_on = without(vocabulary, "Bar", "End")
        self._no_passing = without(vocabulary, "Position", "Bar", "End")
        self._kick = without(vocabulary, "Drum")
        self._kick[vocabulary.ids["Drum"][KICK]] = True

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        due = self._due(reader)
        if not due:
            return None
        now, place = self._next(reader, due)
        mask = (self._no_way_on if now < 0 else self._no_passing).copy()
        if now >= 0:
            tracks = self.vocabulary.ids["Track"]
            mask[tracks.start + now + 1 : tracks.stop] = False
            if reader.track > now:  # it would play on here without being named again
                mask &= self._no_note
        elif place >= 0:
            positions = self.vocabulary.ids["Position"]
            mask[positions.start + place + 1 : positions.stop] = False
        if self.kick in due:
            mask &= self._kick
        return mask

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads to the next track that is due, and those (V,) that would pass it by."""
        due = self._due(reader)
        if not due:
            return None
        now, place = self._next(reader, due)
        if now >= 0:
            return way_to(reader, reader.position, now)
        return way_to(reader, place, -1) if place >= 0 else None

    def _due(self, reader: Reader) -> dict[int, int]:
        """The tick in the bar by which each track is to begin that has not."""
        form = reader.plan.form
        if reader.memory is None or form is None or not form.tracks or reader.kind in UNDER_WAY:
            return {}
        if reader.bar < max(self.first, form.pickup):
            return {}
        eighths = reader.bar_ticks // EIGHTH
        ends = {track: quarters * eighths // WHOLE * EIGHTH for track, quarters in self.latest.items()}
        return {track: end for track, end in ends.items() if self._is_due(reader, track, end)}

    def _is_due(self, reader: Reader, track: int, end: int) -> bool:
        symbol, latest = reader.planned(track), reader.history[track] if track < len(reader.history) else None
        if not begins_anew(symbol):
            return False
        if latest is not None and latest.onset >= reader.bar_start:
            return False
        until = max(reader.bar_start + end, reader.tick)
        return all(of != track or stop <= until for stop, of, _ in reader.active)

    @staticmethod
    def _next(reader: Reader, due: Mapping[int, int]) -> tuple[int, int]:
        """The track that is to begin at this position, and the place to go to next; -1 for none."""
        here = reader.position
        past = reader.track if reader.noted or reader.kind in ("Track", "Velocity") else -1
        now = min((track for track, end in due.items() if end <= here and track > past), default=-1)
        return now, min((end for end in due.values() if end > here), default=-1)

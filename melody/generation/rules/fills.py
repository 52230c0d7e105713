"""Rule of planned fills: where the plan of the drums varies the last of four bars, they fill its end.

Told to vary such a bar the model mostly moves a hi-hat. Where players fill it a snare or a tom stands at nearly every
eighth, and in .56 of fills a crash on the next downbeat (.16 elsewhere; train). So

    +   varied in its last quarter, ~ in its second half: there snare or tom at each eighth, beside them the kick alone
    the bar behind it begins with a crash, whatever returns there

Which of them, how many more and how loudly is the model's. What has to come follows from where the reader is.
"""

import numpy as np

from melody.generation.rules.contract import Mask, up_to, way_to, without
from melody.generation.rules.native_form import NativeForm
from melody.generation.rules.returns import HELD, UNDER_WAY, WHOLE
from melody.music.drumkit import CRASHES, KICK
from melody.music.score import GRID
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import DRUM_HIT, is_fill

FILLING = (38, 43, 45, 48)  # snare and toms
EACH = GRID // 2  # ticks from one hit to the next, at most


class PlayFills:
    """The rule that drums fill where their plan says so, and begin the next bar with a crash."""

    def __init__(self, vocabulary: Vocabulary, drums: int) -> None:
        self.vocabulary, self.drums = vocabulary, drums
        self.native = NativeForm("planned fills", (drums,))
        self._no_note = without(vocabulary, "Pitch", "Velocity")
        self._in_fill, self._crash = without(vocabulary, "Drum"), without(vocabulary, "Drum")
        self._crash[[vocabulary.ids["Drum"].start + drum for drum in CRASHES]] = True
        self._in_fill[[vocabulary.ids["Drum"].start + drum for drum in (KICK, *FILLING)]] = True

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if self._is_idle(reader):
            return None
        start, ids = self._start(reader), self.vocabulary.ids
        inside = reader.track == self.drums and 0 <= start <= reader.position
        mask = self._in_fill.copy() if inside else np.ones(len(self.vocabulary), bool)
        if inside and reader.last_pitch >= FILLING[-1]:  # drums of a place go upwards
            mask[ids["Velocity"].start : ids["Velocity"].stop] = False
        place, drums = self._due(reader, start)
        if place < 0:
            return mask if inside else None
        mask &= up_to(reader, place, self.drums)
        if place == reader.position:
            mask[ids["Position"].start : ids["Position"].stop] = False
            if reader.track != self.drums:
                mask &= self._no_note
            else:
                mask[ids["Drum"].start + drums[-1] + 1 : ids["Drum"].stop] = False
                if drums is CRASHES and self._has_returned(reader):
                    mask &= self._crash
        return mask

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads to the next hit that is due, and those (V,) that would pass it by."""
        if self._is_idle(reader):
            return None
        place, _ = self._due(reader, self._start(reader))
        if place < 0 or (place == reader.position and reader.track == self.drums):
            return None
        return way_to(reader, place, self.drums)

    def _is_idle(self, reader: Reader) -> bool:
        return self.drums < 0 or reader.bar < 0 or reader.memory is None or reader.kind in UNDER_WAY

    def _start(self, reader: Reader) -> int:
        """The tick in the bar at which its fill begins; -1 without one."""
        form = reader.plan.form
        symbol = reader.planned(self.drums)
        if form is None or not form.tracks or not is_fill(symbol, reader.bar - form.pickup):
            return -1
        return HELD[symbol.like] * reader.bar_ticks // WHOLE

    def _has_returned(self, reader: Reader) -> bool:
        """Return True on the downbeat of a bar that returns where all has come that returns there."""
        memory, symbol = reader.memory, reader.planned(self.drums)
        bars = memory.bars[self.drums] if memory is not None and self.drums < len(memory.bars) else ()
        if not HELD[symbol.like] or not 0 < symbol.lag <= len(bars):
            return False
        there = bars[-symbol.lag]
        return not any(place == 0 and hit % DRUM_HIT > reader.last_pitch for place, _, hit, _, _ in there)

    def _due(self, reader: Reader, start: int) -> tuple[int, tuple[int, ...]]:
        """The tick in the bar at which the drums are to play next, and of which drums one; -1 where they are free."""
        here, form = reader.position, reader.plan.form
        if form is not None and form.tracks and here <= 0 and self._may_play(reader, 0, CRASHES):
            before = reader.bar - 1
            if before >= 0 and is_fill(form.of(self.drums, before), before - form.pickup):
                return 0, CRASHES
        if start < 0:
            return -1, ()
        place = start if here < start else here + (start - here) % EACH
        if not self._may_play(reader, place, FILLING):
            place += EACH
        return (place if place < reader.bar_ticks else -1), FILLING

    def _may_play(self, reader: Reader, place: int, drums: tuple[int, ...]) -> bool:
        """Return True where one of these drums can still be played at a place, and none has been."""
        if place != reader.position:
            return place > reader.position
        if reader.track > self.drums and (reader.noted or reader.kind in ("Track", "Velocity")):
            return False
        played = [pitch for track, pitch in reader.now if track == self.drums]
        return not any(pitch in drums for pitch in played) and max(played, default=-1) < drums[-1]

"""Rule of the compound beat: drums that are added to music in 6/8, 9/8 or 12/8 keep to its eighths, and keep time.

The bands that a model has learned from play no drums in 12/8 that keep time. What players do in beats of three parts is
told by music in 4/4 that has them: bands strike the kick on 1 and 3 in .82 of bars, the snare on 2 and 4 in .79,
hi-hat or ride on .72 of beats, .60 of third and .36 of second parts (5 pieces, 406 bars; train), drummers alone the
kick in .96, the snare in .93 (6 grooves, 117 bars). So a bar has, but for what returns there and for fills,

    12/8      1 . . 2 . . 3 . . 4 . .
    kick      x . - . . . x . - . . .       x due, - free; 6/8 is half of it,
    snare     . . . x . . . . . x . .       9/8 has the kick on 1, the snare on 3
    hi-hat    x x x x x x x x x x x x       where beats are fast not the second of three

and no other drum, but for a crash behind a fill. They are as loud as with those players: kick and snare are softer in
one bar of twenty, and the hi-hat is louder on beats (of bands 66 there, 40 elsewhere; medians). New notes of all tracks
begin on eighths, or on sixteenths where what is given has many. What has to come follows from where the reader is.
"""

from collections.abc import Sequence

import numpy as np
from symusic import Tempo

from melody.generation.rules.contract import Mask, up_to, way_to, without
from melody.generation.rules.fixed_notes import FixedNotes
from melody.generation.rules.native_form import NativeForm
from melody.generation.rules.returns import HELD, UNDER_WAY, WHOLE
from melody.music.drumkit import CRASHES, HAT, KICK, OPEN_HAT, SNARE
from melody.music.score import GRID
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import EMPTY, is_fill
from melody.tokens.vocabulary import METERS

EIGHTH, PARTS = GRID // 2, 3  # ticks; of a beat
BEAT = PARTS * EIGHTH
# Softest and loudest bins of velocity, of four each: on beats; of a free kick, which louder would come nearly always.
LOUD, FREE = {KICK: (17, 31), SNARE: (20, 31), **dict.fromkeys(CRASHES, (14, 31))}, (14, 22)
ACCENTED, UNACCENTED = (16, 28), (8, 17)  # hi-hat on beats, and between them
MANY = 0.1  # share of the notes given from which on sixteenths are many
FAST = 90.0  # beats a minute: in faster ones the hi-hat leaves out the second of three


class KeepBeat:
    """The rule that drums keep time in compound meters. It yields where a note cannot be taken."""

    def __init__(self, vocabulary: Vocabulary, drums: int, fixed: FixedNotes, step: int, fast: bool) -> None:
        """New notes begin every `step` ticks at most; `fixed` are the notes that are given."""
        self.vocabulary, self.drums, self.fixed, self.step, self.fast = vocabulary, drums, fixed, step, fast
        self.native = NativeForm("compound beat", (fixed.bits, drums, step, int(fast)), table=fixed.table)
        self._no_note = without(vocabulary, "Pitch", "Drum", "Velocity")

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if self._is_idle(reader):
            return None
        ids, here, start = self.vocabulary.ids, reader.position, self._start(reader)
        mask, positions = self._on_the_grid(reader), ids["Position"]
        place, highest = self._due(reader, start)
        if here >= 0 and (here % self.step or here >= start):
            may = self._may(reader, here) if here >= start else frozenset()
            mask[ids["Track"][self.drums]] = bool(may)
            if reader.track == self.drums:
                most = highest if place == here else max(may, default=-1)
                mask &= self._striking(reader, [drum for drum in may if reader.last_pitch < drum <= most])
        if place < 0:
            return mask
        mask &= up_to(reader, place, self.drums)
        if place == here:
            mask[positions.start : positions.stop] = False
            if reader.track != self.drums:
                mask &= self._no_note
        return mask

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads to the next stroke that is due, and those (V,) that would pass it by."""
        if self._is_idle(reader):
            return None
        place, _ = self._due(reader, self._start(reader))
        if place < 0 or (place == reader.position and reader.track == self.drums):
            return None
        return way_to(reader, place, self.drums)

    def _is_idle(self, reader: Reader) -> bool:
        return reader.meter < 0 or reader.kind in UNDER_WAY or not has_beats_of_three(METERS[reader.meter])

    def _on_the_grid(self, reader: Reader) -> Mask:
        """All but the positions off the grid at which nothing is given."""
        mask, positions = np.ones(len(self.vocabulary), bool), self.vocabulary.ids["Position"]
        mask[positions.start : positions.stop] = np.arange(len(positions)) % self.step == 0
        given = self.fixed.next_tick(reader) - reader.bar_start
        if 0 <= given < len(positions):
            mask[positions.start + given] = True
        return mask

    def _striking(self, reader: Reader, drums: Sequence[int]) -> Mask:
        """All but other hits than on these drums, and other loudness than theirs."""
        ids, mask, running = self.vocabulary.ids, self._no_note.copy(), reader.velocity[self.drums]
        for drum in drums:
            softest, loudest = loudness(reader.position, drum)
            mask[ids["Velocity"].start + softest : ids["Velocity"].start + loudest + 1] = True
            mask[ids["Drum"].start + drum] = softest <= running <= loudest
        return mask

    def _start(self, reader: Reader) -> int:
        """The tick in the bar from which on drums keep time: what returns before it, and fills, do by themselves."""
        form, symbol = reader.plan.form, reader.planned(self.drums)
        if form is None or not form.tracks:
            return 0
        if symbol == EMPTY or is_fill(symbol, reader.bar - form.pickup):
            return reader.bar_ticks
        return HELD[symbol.like] * reader.bar_ticks // WHOLE if symbol.lag else 0

    def _may(self, reader: Reader, place: int) -> frozenset[int]:
        """The drums that may be struck at a place."""
        form, before = reader.plan.form, reader.bar - 1
        may = {drum for stroke in strokes(place, reader.bar_ticks, self.fast) for drum in stroke}
        if place % BEAT == BEAT - EIGHTH and (KICK,) in strokes(place // BEAT * BEAT, reader.bar_ticks, self.fast):
            may.add(KICK)
        if place == 0 and form is not None and form.tracks and before >= 0:
            may.update(CRASHES if is_fill(form.of(self.drums, before), before - form.pickup) else ())
        return frozenset(may)

    def _due(self, reader: Reader, start: int) -> tuple[int, int]:
        """The tick in the bar of the next stroke that has to come, and the highest drum that it may be; -1: none."""
        first = max(start, reader.position, 0)
        for place in range(first + -first % EIGHTH, reader.bar_ticks, EIGHTH):
            if (highest := owed(reader, self.drums, place, strokes(place, reader.bar_ticks, self.fast))) >= 0:
                return place, highest
        return -1, -1


def owed(reader: Reader, track: int, place: int, strokes: Sequence[Sequence[int]]) -> int:
    """Return the highest drum of the next of a track's strokes that is still to come at a place; -1 where none is.

    Strokes are in order, each the drums (upwards) of which it may be one.
    """
    played: list[int] = []
    if place == reader.position:
        if reader.track > track and (reader.noted or reader.kind in ("Track", "Velocity")):
            return -1
        played = [pitch for of, pitch in reader.now if of == track]
    to_come = (
        stroke[-1]
        for stroke in strokes
        if not any(drum in played for drum in stroke) and max(played, default=-1) < stroke[-1]
    )
    return next(to_come, -1)


def has_beats_of_three(meter: tuple[int, int]) -> bool:
    """Return True for 6/8, 9/8, 12/8 and longer ones."""
    return meter[1] == 8 and meter[0] % PARTS == 0 and meter[0] > PARTS


def strokes(place: int, bar_ticks: int, fast: bool) -> list[tuple[int, ...]]:
    """Return the strokes due at a tick of a compound bar, upwards, each as the drums that it may be."""
    (beat, part), beats = divmod(place, BEAT), bar_ticks // BEAT
    result: list[tuple[int, ...]] = []
    if part == 0:
        on_beats = (KICK, None, SNARE) if beats == PARTS else (KICK, SNARE)
        drum = on_beats[beat % len(on_beats)]
        result += [] if drum is None else [(drum,)]
    if part % EIGHTH == 0 and not (fast and part == EIGHTH):
        result.append((HAT, OPEN_HAT) if place + EIGHTH == bar_ticks else (HAT,))
    return result


def loudness(place: int, drum: int) -> tuple[int, int]:
    """The softest and the loudest bin of velocity of a drum at a place."""
    if drum in (HAT, OPEN_HAT):
        return ACCENTED if place % BEAT == 0 else UNACCENTED
    return LOUD[drum] if place % BEAT == 0 else FREE


def step_beside(fixed: FixedNotes) -> int:
    """Return the ticks between the places at which new notes may begin, beside those that are given."""
    sixteenths = sum(note.onset % EIGHTH == EIGHTH // 2 for note in fixed.notes)
    return EIGHTH // 2 if sixteenths > MANY * len(fixed.notes) else EIGHTH


def is_fast(tempos: Sequence[Tempo]) -> bool:
    """Return True where music of these tempos, in quarters a minute, begins with fast beats of three eighths."""
    return bool(tempos) and tempos[0].qpm * 2 / PARTS > FAST

"""Rule of kept time: the hi-hat or ride of a groove goes on through bars that are planned to be new.

A band's players keep time, on all beats or most eighths, in .65 of the bars of 4/4 in which drums play, and in two of
three pieces nearly throughout (125 pieces, 9,558 bars; train). Untold a model of few bands begins grooves without: it
strikes a hi-hat here and there, and what it then reads is a groove that has none. So in a new bar of quarters

    a groove goes on    what kept time strikes the eighths that it struck in the latest of `FEW` bars in which one did,
                        as loudly within `LOUD` bins. There others may join where one of these bars has them, a crash
                        behind fills and at the start of eight bars; elsewhere they are free. Where nobody kept time
                        nothing is ruled
    a groove begins     1 . 2 . 3 . 4 .
                kick    x . . - - - . -       x due, - free, two of those between beats at most; in 3/4 the snare is
                snare   . . x . . . x .       on 3. Players have the snare on 2 and 4 in .6 of bars, and kicks at the
                hi-hat  x x x x x x x x       other places in .3 to .6. In fast music, and where beats fall into three,
                                              the hi-hat is due on beats alone. Between these places kick and hi-hats
                                              are free, and a crash on 1

Led to a place, a model strikes more there than where it goes by itself: hence the narrow choice. Bars that return, fill
or rest do so by themselves. What has to come follows from where the reader is.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from melody.generation.rules.compound import HAT, OPEN_HAT, SNARE, owed
from melody.generation.rules.contract import Mask, up_to, way_to, without
from melody.generation.rules.fills import CRASHES, KICK
from melody.generation.rules.native_form import NativeForm
from melody.generation.rules.returns import HELD, LOUD, UNDER_WAY
from melody.generation.rules.rhythms import EIGHT
from melody.music.quantize import tempo_bin
from melody.music.score import GRID
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import DRUM_HIT, FIRST, NEW, Bar, is_fill
from melody.tokens.vocabulary import METERS

EIGHTH = GRID // 2  # ticks
FEW = 4  # bars
HATS = (HAT, 44, OPEN_HAT)
KEEPERS = (HATS, (51, 53), (54,), (69,), (70,), (82,))  # rides; tambourine, cabasa, shakers
FAST = tempo_bin(125.0)  # from it on most of those who keep time do so on beats alone, below it on eighths (train)
BEATS, BETWEEN, STRONG = (17, 29), (10, 28), (17, 31)  # bins of velocity: hi-hats (eight in ten; train), kick and snare
ANY = (0, 31)
MOST_BETWEEN = 2  # kicks between the beats of a bar that begins a groove
UNIT = 4  # of the meters in question


class DueStroke(NamedTuple):
    """A stroke that is due, from and to these bins of velocity."""

    drum: int
    softest: int
    loudest: int


class KitPlace(NamedTuple):
    """Part of the drums at a place: strokes that are due, upwards, and who may join, as loudly as these bins."""

    due: Sequence[DueStroke] = ()
    free: Collection[int] = ()
    loud: tuple[int, int] = STRONG


class KeepTime:
    """The rule that drums keep time. It yields where a note cannot be taken."""

    def __init__(self, vocabulary: Vocabulary, drums: int, in_thirds: bool = False) -> None:
        """`drums` is their track, -1 for none. Where beats fall `in_thirds` hi-hats are due on beats alone."""
        self.vocabulary, self.drums, self.fast = vocabulary, drums, -1 if in_thirds else FAST
        self.native = NativeForm("kept time", (drums, self.fast))
        self._no_note = without(vocabulary, "Pitch", "Drum", "Velocity")

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        groove = self._groove(reader)
        if groove is None:
            return None
        here, (place, highest), ids = reader.position, self._due(reader, groove), self.vocabulary.ids
        mask = np.ones(len(self.vocabulary), bool) if place < 0 else up_to(reader, place, self.drums)
        if place == here >= 0:
            mask[ids["Position"].start : ids["Position"].stop] = False
            if reader.track != self.drums:
                mask &= self._no_note
        if reader.track == self.drums and here >= 0 and (own := groove.at(here)) is not None:
            mask &= self._striking(reader, own, highest if place == here else len(ids["Drum"]))
        return mask

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads to the next stroke that is due, and those (V,) that would pass it by."""
        groove = self._groove(reader)
        place = -1 if groove is None else self._due(reader, groove)[0]
        if place < 0 or (place == reader.position and reader.track == self.drums):
            return None
        return way_to(reader, place, self.drums)

    def _striking(self, reader: Reader, place: KitPlace, highest: int) -> Mask:
        """All but hits on drums that have no part in a place, or come too late, and other loudness than theirs."""
        ids, mask = self.vocabulary.ids, self._no_note.copy()
        velocities, running = ids["Velocity"].start, reader.velocity[self.drums]
        ranges = dict.fromkeys(place.free, place.loud)
        ranges |= {stroke.drum: (stroke.softest, stroke.loudest) for stroke in place.due}
        for drum, (softest, loudest) in ranges.items():
            if reader.last_pitch < drum <= highest:
                mask[ids["Drum"].start + drum] = softest <= running <= loudest
                mask[velocities + max(0, softest) : min(velocities + loudest + 1, ids["Velocity"].stop)] = True
        return mask

    def _groove(self, reader: Reader) -> "Groove | None":
        """The groove of this bar; None where nothing is ruled."""
        memory, form = reader.memory, reader.plan.form
        if self.drums < 0 or memory is None or form is None or not form.tracks or reader.kind in UNDER_WAY:
            return None
        symbol = reader.planned(self.drums)
        if reader.bar < form.pickup or not (symbol in (NEW, FIRST) or (symbol.lag and not HELD[symbol.like])):
            return None
        if reader.meter < 0 or METERS[reader.meter][1] != UNIT:
            return None
        bars = memory.bars[self.drums] if self.drums < len(memory.bars) else ()
        whole = bars[max(0, len(bars) - reader.bar + form.pickup) :]
        if heard := [bar for bar in whole if bar][-FEW:]:
            before, place = reader.bar - 1, reader.bar - form.pickup
            crashes = place % EIGHT == 0 or is_fill(form.of(self.drums, before), place - 1)
            return GoingOn.of(heard, reader.bar_ticks, crashes)
        kicks = [place for place, track, hit, _, _ in memory.now if track == self.drums and hit == DRUM_HIT + KICK]
        between = sum(place % GRID > 0 for place in kicks)
        return Beginning(between, reader.bar_ticks, GRID if reader.tempo >= self.fast else EIGHTH)

    def _due(self, reader: Reader, groove: "Groove") -> tuple[int, int]:
        """The tick in the bar of the next stroke that has to come, and the highest drum that it may be; -1: none."""
        first = max(reader.position, 0)
        for place in range(first + -first % EIGHTH, reader.bar_ticks, EIGHTH):
            own = groove.at(place)
            drums = [] if own is None else [(stroke.drum,) for stroke in own.due]
            if drums and (highest := owed(reader, self.drums, place, drums)) >= 0:
                return place, highest
        return -1, -1


class GoingOn(NamedTuple):
    """A groove that goes on: the strokes that keep time, and who joined them, by tick in the bar."""

    kept: dict[int, DueStroke]
    joined: dict[int, set[int]]

    @classmethod
    def of(cls, heard: Sequence[Bar], ticks: int, crashes: bool) -> "GoingOn | None":
        """The groove of bars of so many ticks, with a crash or not; None where nobody keeps time in them."""
        kept = next((found for bar in reversed(heard) if (found := kept_time(bar, ticks))), None)
        joined: dict[int, set[int]] = {}
        for place, _, hit, _, _ in (event for bar in heard for event in bar):
            joined.setdefault(place, set()).add(hit % DRUM_HIT)
        for place, drums in joined.items():
            drums.difference_update(CRASHES)
            drums.update(CRASHES if crashes and place == 0 else ())
        return None if kept is None else cls(kept, joined)

    def at(self, place: int) -> KitPlace | None:
        """Return what drums do at a place; None where they are free."""
        return KitPlace([self.kept[place]], self.joined[place], ANY) if place in self.kept else None


class Beginning(NamedTuple):
    """A groove that begins: kicks between beats so far, and ticks of its bar and from one hi-hat to the next."""

    between: int
    ticks: int
    step: int

    def at(self, place: int) -> KitPlace:
        """Return what drums do at a place."""
        beat, part = divmod(place, GRID)
        if place % self.step:
            return KitPlace((), (KICK, *HATS), ANY)
        if part:
            return KitPlace([DueStroke(HAT, *BETWEEN)], (KICK,) if beat and self.between < MOST_BETWEEN else ())
        hat, has_snare = DueStroke(HAT, *BEATS), beat == 2 if self.ticks == 3 * GRID else beat % 2 == 1
        if has_snare:
            return KitPlace([DueStroke(SNARE, *STRONG), hat])
        return KitPlace([hat], (KICK,)) if beat else KitPlace([DueStroke(KICK, *STRONG), hat], CRASHES)


Groove = GoingOn | Beginning


def kept_time(bar: Bar, ticks: int) -> dict[int, DueStroke]:
    """Return the strokes at eighths by which a bar of so many ticks keeps time, by tick; none where it does not."""
    eighths = ticks // EIGHTH
    for keepers in KEEPERS:
        strokes = {
            place: DueStroke(hit % DRUM_HIT, loud - LOUD, loud + LOUD)
            for place, _, hit, loud, _ in bar
            if hit % DRUM_HIT in keepers and place % EIGHTH == 0
        }
        if set(range(0, ticks, GRID)) <= set(strokes) or len(strokes) >= eighths - eighths // 4:
            return strokes
    return {}

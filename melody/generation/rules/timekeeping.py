"""Rule of kept time: where a groove begins that the plan holds on to, a hi-hat or ride keeps time.

A band's players keep time, on all beats or most eighths, in .65 of the bars of 4/4 in which drums play, and in two of
three pieces nearly throughout (125 pieces, 9,558 bars; train). Of bars that are new they do so in .63 of those that the
next bar repeats, mostly on the instrument of before (.49, another .15), and in .22 to .38 of those that stand alone,
which are breaks. Untold a model of few bands begins grooves without: it strikes a hi-hat here and there, and what it
then reads is a groove that has none. So in a new bar of quarters that the next bar is planned to repeat

    time has been kept   in the latest of `FEW` bars: who kept it strikes on each beat, about as loudly. On beats others
                         may join where they did in these bars, the kick on 1 and 3 and the snare on 2 and 4, a crash
                         on 1 behind fills and at the start of eight bars; between beats drums are free
    it has not           1 . 2 . 3 . 4 .
                 kick    x . . - - - . -      x due, - free, two of those between beats at most; in 3/4 the snare is
                 snare   . . x . . . x .      on 3. Players have the snare on 2 and 4 in .6 of bars, and kicks at the
                 hi-hat  x x x x x x x x      other places in .3 to .6. In fast music, and where beats fall into three,
                                              the hi-hat is due on beats alone. Between these places kick and hi-hats
                                              are free, and a crash on 1

Behind a primer whose drums have kept no time nothing is ruled. Led to a place, a model strikes more there than where it
goes by itself: hence the narrow choice. What has to come follows from where the reader is.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from melody.generation.rules.compound import owed
from melody.generation.rules.contract import Mask, up_to, way_to, without
from melody.generation.rules.native_form import NativeForm
from melody.generation.rules.returns import LOUD, UNDER_WAY, begins_anew
from melody.generation.rules.rhythms import EIGHT
from melody.music.drumkit import CRASHES, HAT, HATS, KEEPERS, KICK, SNARE
from melody.music.quantize import tempo_bin
from melody.music.score import GRID
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import DRUM_HIT, Bar, is_fill
from melody.tokens.vocabulary import METERS

EIGHTH = GRID // 2  # ticks
FEW = 4  # bars
FAST = tempo_bin(125.0)  # from it on most of those who keep time do so on beats alone, below it on eighths (train)
BEATS, BETWEEN, STRONG = (17, 29), (10, 28), (17, 31)  # bins of velocity: hi-hats (eight in ten; train), kick and snare
ANY = (0, 31)
MOST_BETWEEN = 2  # kicks between the beats of a bar that begins a groove
UNIT = 4  # of the meters in question


class DueStroke(NamedTuple):
    """A stroke that is due: of one of these drums (upwards), from and to these bins of velocity."""

    drums: tuple[int, ...]
    softest: int
    loudest: int


class KitPlace(NamedTuple):
    """Part of the drums at a place: strokes that are due, upwards, and who may join, as loudly as these bins."""

    due: Sequence[DueStroke] = ()
    free: Collection[int] = ()
    loud: tuple[int, int] = STRONG


class KeepTime:
    """The rule that drums keep time. It yields where a note cannot be taken."""

    def __init__(self, vocabulary: Vocabulary, drums: int, in_thirds: bool = False, given: bool = False) -> None:
        """`drums` is their track, -1 for none; `given`: they play in the primer.

        Where beats fall `in_thirds` the hi-hat of a groove that begins is due on beats alone.
        """
        self.vocabulary, self.drums, self.fast, self.given = vocabulary, drums, -1 if in_thirds else FAST, given
        self.native = NativeForm("kept time", (drums, self.fast, int(given)))
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
        ranges |= {drum: (stroke.softest, stroke.loudest) for stroke in place.due for drum in stroke.drums}
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
        symbol, place = reader.planned(self.drums), reader.bar - form.pickup
        after = form.of(self.drums, reader.bar + 1)
        if place < 0 or not begins_anew(symbol):
            return None
        if not (after.lag == 1 and after.is_copy) or reader.meter < 0 or METERS[reader.meter][1] != UNIT:
            return None
        bars = memory.bars[self.drums] if self.drums < len(memory.bars) else ()
        heard = [bar for bar in bars[max(0, len(bars) - place) :] if bar][-FEW:]
        if kept := next((found for bar in reversed(heard) if (found := kept_time(bar, reader.bar_ticks))), None):
            crashes = place % EIGHT == 0 or is_fill(form.of(self.drums, reader.bar - 1), place - 1)
            return GoingOn(kept, _joined(heard), crashes)
        if self.given:
            return None
        kicks = [tick for tick, track, hit, _, _ in memory.now if track == self.drums and hit == DRUM_HIT + KICK]
        between = sum(tick % GRID > 0 for tick in kicks)
        return Beginning(between, reader.bar_ticks, GRID if reader.tempo >= self.fast else EIGHTH)

    def _due(self, reader: Reader, groove: "Groove") -> tuple[int, int]:
        """The tick in the bar of the next stroke that has to come, and the highest drum that it may be; -1: none."""
        first = max(reader.position, 0)
        for place in range(first + -first % EIGHTH, reader.bar_ticks, EIGHTH):
            own = groove.at(place)
            drums = [] if own is None else [stroke.drums for stroke in own.due]
            if drums and (highest := owed(reader, self.drums, place, drums)) >= 0:
                return place, highest
        return -1, -1


class GoingOn(NamedTuple):
    """A groove behind another one: who keeps time, who joined there lately by tick in the bar, and if a crash may."""

    kept: DueStroke
    joined: Mapping[int, set[int]]
    crashes: bool

    def at(self, place: int) -> KitPlace | None:
        """Return what drums do at a place; None where they are free."""
        beat, part = divmod(place, GRID)
        if part:
            return None
        free = (self.joined.get(place, set()) | {SNARE if beat % 2 else KICK}).difference(CRASHES)
        return KitPlace([self.kept], free.union(CRASHES if self.crashes and not beat else ()), ANY)


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
            return KitPlace([DueStroke((HAT,), *BETWEEN)], (KICK,) if beat and self.between < MOST_BETWEEN else ())
        hat, has_snare = DueStroke((HAT,), *BEATS), beat == 2 if self.ticks == 3 * GRID else beat % 2 == 1
        if has_snare:
            return KitPlace([DueStroke((SNARE,), *STRONG), hat])
        return KitPlace([hat], (KICK,)) if beat else KitPlace([DueStroke((KICK,), *STRONG), hat], CRASHES)


Groove = GoingOn | Beginning


def _joined(heard: Sequence[Bar]) -> dict[int, set[int]]:
    """The drums that these bars have, by tick."""
    joined: dict[int, set[int]] = {}
    for place, _, hit, _, _ in (event for bar in heard for event in bar):
        joined.setdefault(place, set()).add(hit % DRUM_HIT)
    return joined


def kept_time(bar: Bar, ticks: int) -> DueStroke | None:
    """Return who keeps time in a bar of so many ticks, and how loudly within `LOUD` bins; None where nobody does."""
    eighths = ticks // EIGHTH
    for keepers in KEEPERS:
        loud = {place: loud for place, _, hit, loud, _ in bar if hit % DRUM_HIT in keepers and place % EIGHTH == 0}
        if set(range(0, ticks, GRID)) <= set(loud) or len(loud) >= eighths - eighths // 4:
            return DueStroke(keepers, min(loud.values()) - LOUD, max(loud.values()) + LOUD)
    return None

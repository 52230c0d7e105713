"""Rule of planned rhythms: tracks rest where their plan says so, and a bar that is new goes on in the rhythm before it.

Told to rest in a bar, tracks of a band still play in a third of such bars, a note here and there: layers that are not
there yet scatter. And a bar that is new has other pitches, but mostly an old rhythm. Of bars planned as new that follow
a habit (the bar before had its onsets from the one L bars before it, L the least of `LAGS`) the bar L bars ago gives
its onsets to .65 (bass), .47 (chords), .55 (guitar), .44 (lead), .67 (pad) and .86 (arpeggio; train), mostly with the
lengths and notes of its chords. Untold the model keeps .15, .08, .12, .11, .58 and .14: held chords scatter.

    empty   no note begins
    new     the habit's rhythm with other notes, but where an eight of bars begins, or where there is no habit: there
            the model is free. On strong beats the bass has that of the planned chord
    - ~ +   what `rules.returns` does not hold of it has the rhythm of the bar that it is as

Of the notes of a bar whose rhythm it keeps a new bar has few: a bass .07, chords .16 (train); untold by this rule the
model has .34 and .36, and what is new is a copy in disguise. So a note there is another one; of three notes of a chord
one may stay. Else pitches are the model's; those of a chord lie within `NEAR` semitones of what they stand for, so that
all find a place.
Where no track is free nothing begins but what is due. All follows from where the reader is.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from melody.generation.rules.contract import Mask, up_to, way_to, without
from melody.generation.rules.fixed_notes import lasting
from melody.generation.rules.harmony import planned_bass
from melody.generation.rules.native_form import NativeForm
from melody.generation.rules.returns import HELD, UNDER_WAY, WHOLE
from melody.music.chords import OCTAVE
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import DRUM_HIT, EMPTY, LIKES, NEW, Bar

LAGS = (1, 2, 4, 8)  # bars
EIGHT = 8  # bars
NEAR = 9  # semitones: 95 % of the notes of chords are as near (train)
OF_OLD = 3  # a chord of so many notes may keep one of them in a new bar


class Attack(NamedTuple):
    """Notes of a track that begin together: tick in the bar, track, their pitches (upwards) and lengths."""

    place: int
    track: int
    pitches: Sequence[int]
    lengths: Sequence[int]


class Kept(NamedTuple):
    """The rhythm that a track keeps from a tick of the bar on; without strokes it rests."""

    start: int
    strokes: Sequence[Attack] = ()
    is_new: bool = False  # whether its notes are to be others


class KeepRhythms:
    """The rule that tracks keep their rhythm and their rests. It yields where a note cannot be taken."""

    def __init__(
        self, vocabulary: Vocabulary, tracks: Collection[int], drums: int = -1, alone: bool = True, bass: int = -1
    ) -> None:
        """`tracks` are pitched, `bass` (-1: none) one of them; drums only rest. `alone`: nobody else plays."""
        self.vocabulary, self.tracks, self.alone = vocabulary, tuple(sorted(tracks)), alone
        self.drums, self.bass = drums, bass
        bits = sum(1 << track for track in self.tracks)
        self.native = NativeForm("planned rhythms", (bits, drums, int(alone), bass))
        self._no_note = without(vocabulary, "Pitch", "Drum", "Velocity")

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if _is_idle(reader):
            return None
        if reader.kind in UNDER_WAY:
            return self._lasting(reader)
        kept, bass = self._kept(reader), self._planned_bass(reader)
        if not kept and bass < 0:
            return None
        mask, place = np.ones(len(self.vocabulary), bool), max(reader.position, 0)
        if bass >= 0:
            pitches = self.vocabulary.ids["Pitch"]
            mask[pitches.start : pitches.stop] = np.arange(len(pitches)) % OCTAVE == bass
        for track, own in kept.items():
            if place < own.start:
                continue
            here = _at(own, reader.position)
            written = _written(reader, track)
            if here is None or written >= len(here.pitches):
                mask[self._tracks[track]] = False
                if reader.track == track:
                    mask &= self._no_note
            elif reader.track == track:
                mask &= self._near(here, written)
                if own.is_new and bass < 0:
                    mask &= self._others(here, reader)
        if self.alone and len(kept) == len(self.tracks) + (self.drums >= 0):
            mask &= self._due_places(kept)
        due = _next(reader, kept)
        return mask if due is None else mask & self._up_to(due, reader)

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads to the next note that is due, and those (V,) that would pass it by."""
        if _is_idle(reader) or reader.kind in UNDER_WAY:
            return None
        due = _next(reader, self._kept(reader))
        if due is None:
            return None
        if due.place == reader.position and _has_opened(reader) and reader.track >= due.track:
            return None
        return way_to(reader, due.place, due.track)

    @property
    def _tracks(self) -> range:
        return self.vocabulary.ids["Track"]

    def _kept(self, reader: Reader) -> dict[int, Kept]:
        """The tracks that are not free in this bar."""
        ruled = self.tracks if self.drums < 0 else sorted((*self.tracks, self.drums))
        return {track: one for track in ruled if (one := self._of(reader, track)) is not None}

    def _of(self, reader: Reader, track: int) -> Kept | None:
        """The rhythm that a track keeps in this bar; None where it is free."""
        memory, form, symbol = reader.memory, reader.plan.form, reader.planned(track)
        if memory is None or form is None or not form.tracks:
            return None
        if symbol == EMPTY:
            return Kept(0)
        bars, is_new = memory.bars[track] if track < len(memory.bars) else (), False
        if track == self.drums:
            lag, start = symbol.lag if symbol.like == LIKES else 0, reader.bar_ticks
        elif symbol == NEW and (reader.bar - form.pickup) % EIGHT:
            lag, start, is_new = _habit(bars), 0, True
        else:
            lag, start = symbol.lag, HELD[symbol.like] * reader.bar_ticks // WHOLE
        strokes = _strokes(bars[-lag]) if 0 < lag <= len(bars) else []
        inside = [one for one in strokes if one.place < reader.bar_ticks]
        return Kept(start, inside, is_new) if inside else None

    def _due_places(self, kept: Mapping[int, Kept]) -> Mask:
        """The tokens without positions at which nobody has a stroke."""
        mask, positions = without(self.vocabulary, "Position"), self.vocabulary.ids["Position"].start
        mask[[positions + stroke.place for own in kept.values() for stroke in own.strokes]] = True
        return mask

    def _near(self, stroke: Attack, written: int) -> Mask:
        """The notes that may stand next in a chord."""
        mask, pitches = np.ones(len(self.vocabulary), bool), self.vocabulary.ids["Pitch"]
        if len(stroke.pitches) > 1:
            near = np.abs(np.arange(len(pitches)) - stroke.pitches[written]) <= NEAR
            mask[pitches.start : pitches.stop] = near
        return mask

    def _others(self, stroke: Attack, reader: Reader) -> Mask:
        """The notes that may stand next where a bar is new: those of before no more, but for one or so of a chord."""
        mask, pitches = np.ones(len(self.vocabulary), bool), self.vocabulary.ids["Pitch"]
        again = sum(track == reader.track and pitch in stroke.pitches for track, pitch in reader.now)
        if again >= len(stroke.pitches) // OF_OLD:
            mask[[pitches.start + pitch for pitch in stroke.pitches]] = False
        return mask

    def _planned_bass(self, reader: Reader) -> int:
        """The pitch class that the bass has here, on a strong beat of a new bar; -1: any."""
        is_strong = reader.position >= 0 and not 2 * reader.position % reader.bar_ticks
        form = reader.plan.form
        if not is_strong or reader.track < 0 or reader.track != self.bass or form is None or not form.tracks:
            return -1
        return planned_bass(reader) if reader.planned(self.bass) == NEW else -1

    def _lasting(self, reader: Reader) -> Mask | None:
        """The tokens that make the note under way as long as the one that it stands for."""
        own = self._of(reader, reader.track) if reader.track in self.tracks else None
        here = None if own is None or reader.position < own.start else _at(own, reader.position)
        written = _written(reader, reader.track) - 1
        if here is None or not 0 <= written < len(here.lengths):
            return None
        return lasting(self.vocabulary, here.lengths[written] - reader.length)

    def _up_to(self, due: Attack, reader: Reader) -> Mask:
        """The tokens that do not pass a stroke by."""
        mask, positions = up_to(reader, due.place, due.track), self.vocabulary.ids["Position"]
        if due.place == reader.position:
            mask[positions.start : positions.stop] = False
            if reader.track > due.track:
                mask &= self._no_note
        return mask


def _is_idle(reader: Reader) -> bool:
    return reader.bar < 0 or reader.memory is None


def _has_opened(reader: Reader) -> bool:
    """Return True where a track has been named at this position."""
    return reader.noted or reader.kind in ("Track", "Velocity")


def _at(kept: Kept, place: int) -> Attack | None:
    """The stroke of a rhythm at a place."""
    return next((stroke for stroke in kept.strokes if stroke.place == place), None)


def _written(reader: Reader, track: int) -> int:
    """The notes of a track at this position, that under way too."""
    return sum(of == track for of, _ in reader.now)


def _next(reader: Reader, kept: Mapping[int, Kept]) -> Attack | None:
    """The stroke that comes next, or is not full yet."""
    here, opened = reader.position, _has_opened(reader)
    due = (
        stroke
        for own in kept.values()
        for stroke in own.strokes
        if stroke.place >= own.start
        and (stroke.place > here or (stroke.place == here and not (opened and reader.track > stroke.track)))
        and (stroke.place > here or _written(reader, stroke.track) < len(stroke.pitches))
    )
    return min(due, default=None, key=lambda stroke: stroke[:2])


def _strokes(bar: Bar) -> list[Attack]:
    """The strokes of a bar of one track."""
    found: dict[int, list[tuple[int, int]]] = {}
    for place, _, hit, _, duration in bar:
        found.setdefault(place, []).append((hit % DRUM_HIT, duration))
    track = bar[0][1] if bar else 0
    return [Attack(place, track, *zip(*sorted(notes), strict=True)) for place, notes in sorted(found.items())]


def _habit(bars: Sequence[Bar]) -> int:
    """By how many bars the rhythm of the last one returned; 0: it did not."""
    for lag in LAGS:
        if lag < len(bars) and bars[-1] and _places(bars[-1]) == _places(bars[-1 - lag]):
            return lag
    return 0


def _places(bar: Bar) -> frozenset[int]:
    return frozenset(event[0] for event in bar)

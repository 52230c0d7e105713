"""Notes that are fixed before composing begins, and the rule that writes each of them at its place.

`--with` fixes whole notes of some tracks, `--fill` those of the tracks that stay, `--keep rhythm` all but pitches,
`--keep bars` whole notes in most bars. The
rule lets the model write what it likes in the free tracks up to the next fixed note, which then must come: as notes go
by onset, track and pitch, what comes next follows from where the reader is, and nothing has to be remembered.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.generation.rules.contract import NEVER, Mask, without
from melody.generation.rules.native_form import NativeForm
from melody.music.quantize import VELOCITY_STEP
from melody.music.score import Notes, most_at_once
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import DRUMS, MAX_DURATION, MAX_TRACKS


class FixedNote(NamedTuple):
    """A note to be written: ticks of the grid; without a pitch it may have any that its track may."""

    onset: int
    track: int
    number: int  # among the fixed ones of its track at its onset
    duration: int
    pitch: int | None
    velocity: int  # bin
    following: int  # how many of its track at its onset come after it


class FixedNotes:
    """All fixed notes of a composition in the order in which they are written, and the tracks they stand in."""

    def __init__(self, parts: Mapping[int, Notes], pitched: bool | Mapping[int, Mask] = True) -> None:
        """`parts` are notes by the model's track; `pitched`: whether their pitches are fixed too, of all or of each."""
        self.tracks = frozenset(parts)
        alike = {track: np.full(len(notes.onset), pitched is True) for track, notes in parts.items()}
        each = pitched if isinstance(pitched, Mapping) else alike
        self.notes = sorted(note for track, notes in parts.items() for note in _in_order(track, notes, each[track]))
        self._keys = [note[:3] for note in self.notes]
        self._parts = parts

    def most_at_once(self, track: int) -> int:
        """Return the most notes at once of a track, 0 where it has none."""
        return most_at_once(self._parts[track]) if track in self._parts else 0

    def next(self, reader: Reader) -> FixedNote | None:
        """The first one that has not been written."""
        track, number = (reader.track, _written(reader)) if reader.noted else (-1, 0)
        place = bisect_left(self._keys, (reader.tick, track, number))
        return self.notes[place] if place < len(self.notes) else None

    @cached_property
    def table(self) -> NDArray[np.int32]:
        """The notes (N, 7) as core/fixed.h has them."""
        rows = [note._replace(pitch=-1 if note.pitch is None else note.pitch) for note in self.notes]
        return np.array(rows, np.int32).reshape(-1, len(FixedNote._fields))

    @property
    def bits(self) -> int:
        """The tracks as bits."""
        return sum(1 << track for track in self.tracks)

    def next_tick(self, reader: Reader) -> int:
        """Its onset, or never."""
        note = self.next(reader)
        return note.onset if note else NEVER

    def under_way(self, reader: Reader) -> FixedNote | None:
        """The fixed note whose pitch has been read and whose duration has not; None where it is a free one."""
        if reader.track not in self.tracks:
            return None
        key = (reader.tick, reader.track, _written(reader) - 1)
        place = bisect_left(self._keys, key)
        return self.notes[place] if place < len(self.notes) and self._keys[place] == key else None


def _written(reader: Reader) -> int:
    """Return the number of notes in the track under way at this position."""
    return sum(track == reader.track for track, _ in reader.now)


def _in_order(track: int, notes: Notes, pitched: Mask) -> Iterable[FixedNote]:
    order = np.lexsort((notes.pitch, notes.onset))
    onset, duration, pitch, velocity = (column[order].tolist() for column in notes)
    counts = {tick: onset.count(tick) for tick in set(onset)}
    numbers: dict[int, int] = {}
    for tick, ticks, height, loudness, fixed in zip(onset, duration, pitch, velocity, pitched[order], strict=True):
        number = numbers[tick] = numbers.get(tick, -1) + 1
        following = counts[tick] - number - 1
        yield FixedNote(tick, track, number, ticks, height if fixed else None, loudness // VELOCITY_STEP, following)


class KeepFixed:
    """The rule that every fixed note is written where it stands, and no other note in the tracks that are fixed.

    `pitches` (128,) are those that notes may have whose pitch is free, by track. With `playable` this always holds.
    """

    def __init__(self, vocabulary: Vocabulary, fixed: FixedNotes, pitches: Mapping[int, Mask]) -> None:
        self.vocabulary = vocabulary
        self.fixed = fixed
        self.pitches = pitches
        ids = vocabulary.ids
        self._no_fixed_track = np.ones(len(vocabulary), bool)
        self._no_fixed_track[[ids["Track"][track] for track in fixed.tracks]] = False
        self._no_note = without(vocabulary, "Pitch", "Drum", "Velocity")
        self._going_on = ~without(vocabulary, "Position", "Bar", "End")
        own = np.zeros((MAX_TRACKS, 128), bool)
        for track, mask in pitches.items():
            own[track] = mask
        self.native = NativeForm("keep fixed", (fixed.bits,), own, fixed.table)

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if reader.bar < 0:
            return None
        if reader.kind in ("Pitch", "Drum", "Sustain"):
            under_way = self.fixed.under_way(reader)
            return lasting(self.vocabulary, under_way.duration - reader.length) if under_way else None
        note, ids = self.fixed.next(reader), self.vocabulary.ids
        if note is not None and _is_due(reader, note):
            return self._up_to(reader, note)
        mask = (
            self._no_fixed_track & self._no_note if reader.track in self.fixed.tracks else self._no_fixed_track.copy()
        )
        if note is not None:
            positions = ids["Position"]
            mask[positions.start + max(0, note.onset - reader.bar_start) + 1 : positions.stop] = False
            mask[ids["End"][0]] = False
            mask[ids["Bar"][0]] = note.onset >= reader.bar_start + reader.bar_ticks
        return mask

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads to the next fixed note, and those (V,) that would pass it by."""
        note, ids = self.fixed.next(reader), self.vocabulary.ids
        if note is None or reader.bar < 0 or reader.kind in ("Pitch", "Drum", "Sustain"):
            return None
        passing = self._going_on.copy()
        if _is_due(reader, note):
            passing[ids["Track"].start + note.track + 1 : ids["Track"].stop] = True
            return (ids["Track"][note.track], passing) if reader.track < note.track or not reader.noted else None
        if note.onset >= reader.bar_start + reader.bar_ticks:
            return ids["Bar"][0], ~without(self.vocabulary, "End")
        here = ids["Position"][note.onset - reader.bar_start]
        passing[ids["Position"].start : here + 1] = False
        return here, passing

    def _up_to(self, reader: Reader, note: FixedNote) -> Mask:
        """Return the tokens that may follow at a position at which this note must be written."""
        ids = self.vocabulary.ids
        tracks, velocities = ids["Track"], ids["Velocity"]
        mask = self._no_fixed_track & ~self._going_on
        mask[tracks.start + note.track : tracks.stop] = False
        mask[tracks.start + note.track] = True
        if reader.track == note.track:
            mask &= self._no_note
            if reader.velocity[note.track] != note.velocity:
                mask[velocities.start + note.velocity] = True
            else:
                mask[_pitches(self.vocabulary, reader, note, self.pitches)] = True
        elif reader.track in self.fixed.tracks or reader.track > note.track:
            mask &= self._no_note
        return mask


def _is_due(reader: Reader, note: FixedNote) -> bool:
    """Return True where the note begins at the position under way."""
    return note.onset == reader.tick and reader.position >= 0


def _pitches(vocabulary: Vocabulary, reader: Reader, note: FixedNote, pitches: Mapping[int, Mask]) -> Sequence[int]:
    """The ids of the pitches that a fixed note may have; above the highest of them there is room for those after it."""
    start = vocabulary.ids["Drum" if reader.programs[note.track] == DRUMS else "Pitch"].start
    if note.pitch is not None:
        return [start + note.pitch]
    sounding = {pitch for end, track, pitch in reader.active if track == note.track}
    free = [p for p in np.flatnonzero(pitches[note.track]).tolist() if p > reader.last_pitch and p not in sounding]
    return [start + pitch for pitch in free[: len(free) - note.following] or free]


def lasting(vocabulary: Vocabulary, ticks: int) -> Mask:
    """The note under way lasts exactly so many ticks more."""
    mask = np.zeros(len(vocabulary), bool)
    if ticks > MAX_DURATION:
        mask[vocabulary.ids["Sustain"][0]] = True
    else:
        mask[vocabulary.ids["Duration"][max(ticks, 1) - 1]] = True
    return mask


def lasting_between(vocabulary: Vocabulary, least: int, most: int | None) -> Mask:
    """All but the tokens that would make the note under way shorter or longer than so many ticks from here."""
    durations = vocabulary.ids["Duration"]
    mask = np.ones(len(vocabulary), bool)
    mask[durations.start : durations.start + min(max(least - 1, 0), MAX_DURATION)] = False
    if most is not None:
        mask[durations.start + max(most, 1) : durations.stop] = False
        mask[vocabulary.ids["Sustain"][0]] = most > MAX_DURATION
    return mask

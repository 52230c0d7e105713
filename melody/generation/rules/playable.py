"""Rule of tracks: which of them get new notes, how many at once, and of which pitches."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from melody.generation.rules.contract import NEVER, Mask, Rule, without
from melody.generation.rules.native_form import KnownRule, NativeForm
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import MAX_TRACKS


class Room(Protocol):
    """Limits of a track: how many notes at once, and of which pitches."""

    @property
    def polyphony(self) -> int:
        """Notes at once, at most."""

    def free_tick(self, reader: Reader, track: int) -> int:
        """The tick from which on the track may take a note, as far as can be seen."""

    def pitches_now(self, reader: Reader, track: int) -> Mask:
        """The pitches (128,) of which it may take one now, apart from those the grammar forbids; it is its turn."""

    def must_go_on(self, reader: Reader, track: int) -> bool:
        """Return True where a note of this track has to follow at once; it is its turn."""


@dataclass(frozen=True)
class Free:
    """A track that may have at most `polyphony` notes at once, of `pitches` (128,)."""

    polyphony: int
    pitches: Mask

    def free_tick(self, reader: Reader, track: int) -> int:
        """Fewer than it may have sound, and one of its pitches does not; both only become truer as notes end."""
        sounding = [(end, pitch) for end, of, pitch in reader.active if of == track]
        tick = 0
        if len(sounding) >= self.polyphony:
            tick = sorted((end for end, _ in sounding), reverse=True)[self.polyphony - 1]
        if len(sounding) >= len(self.highest_first):  # else a pitch is left
            taken = [end for end, pitch in sounding if self.pitches[pitch]]
            if len(taken) >= len(self.highest_first):
                tick = max(tick, min(taken))
        return tick

    def pitches_now(self, reader: Reader, track: int) -> Mask:
        """All of them while it is free."""
        return self.pitches if self.free_tick(reader, track) <= reader.tick else NO_PITCH

    def must_go_on(self, reader: Reader, track: int) -> bool:
        """Never."""
        return False

    @cached_property
    def highest_first(self) -> list[int]:
        """Its pitches from high to low."""
        return [int(pitch) for pitch in np.flatnonzero(self.pitches)[::-1]]


@dataclass(frozen=True)
class InOrder:
    """A track whose notes have these pitches one after the other and over again: `--keep pitches`.

    The pitches of a chord come together; the next chord comes when the last one has ended.
    """

    chords: tuple[tuple[int, ...], ...]  # pitches, upwards
    start: int  # notes of the track that were there before

    polyphony = 128

    def free_tick(self, reader: Reader, track: int) -> int:
        """The end of the chord before."""
        return max((end for end, of, _ in reader.active if of == track), default=0)

    def pitches_now(self, reader: Reader, track: int) -> Mask:
        """The one whose turn it is."""
        mask = np.zeros(128, bool)
        if self.must_go_on(reader, track) or self.free_tick(reader, track) <= reader.tick:
            mask[self._flat[(reader.written(track) - self.start) % len(self._flat)][0]] = True
        return mask

    def must_go_on(self, reader: Reader, track: int) -> bool:
        """While its chord is not complete."""
        here = reader.noted and any(of == track for of, _ in reader.now)
        return here and self._flat[(reader.written(track) - self.start - 1) % len(self._flat)][1]

    @cached_property
    def _flat(self) -> list[tuple[int, bool]]:
        """Each pitch, and whether another one of its chord follows."""
        return [(pitch, place + 1 < len(chord)) for chord in self.chords for place, pitch in enumerate(chord)]


NO_PITCH = np.zeros(128, bool)


class Fixed(Protocol):
    """Notes that will be written, see `melody.generation.rules.fixed_notes`."""

    tracks: frozenset[int]

    @property
    def table(self) -> NDArray[np.int32]:
        """The notes as the native core has them."""

    @property
    def bits(self) -> int:
        """The tracks as bits."""

    def next_tick(self, reader: Reader) -> int:
        """The onset of the next one, or `NEVER`."""


def playable(vocabulary: Vocabulary, rooms: Mapping[int, Room], fixed: Fixed | None = None) -> Rule:
    """New notes go to these tracks alone, and none of them ever has more notes at once or other pitches than it may.

    This always holds: wherever a token would lead to where no note is left to take, the way there is closed. A track is
    opened while it has room and a free pitch, a velocity while a pitch can follow it, and a position (which must hold a
    note) from the tick on at which some track is free. Between bars nothing is lost by that, as with nothing sounding
    every track is free; so the rule never has to yield to `exact_bars` or `no_long_silence`, nor they to it. Tracks
    with `fixed` notes are left to `keep_fixed`, which comes before.
    """
    tracks, positions = vocabulary.ids["Track"], vocabulary.ids["Position"]
    spans = [vocabulary.ids[kind] for kind in ("Pitch", "Drum")]
    velocities, no_track = vocabulary.ids["Velocity"], without(vocabulary, "Track")
    set_tracks = fixed.tracks if fixed else frozenset()
    free_rooms = {track: room for track, room in rooms.items() if track not in set_tracks}

    def rule(reader: Reader) -> Mask | None:
        if reader.bar < 0 or reader.kind in ("Pitch", "Drum", "Sustain"):
            return None
        mask = no_track.copy()
        earliest = fixed.next_tick(reader) if fixed else NEVER
        for track, room in free_rooms.items():
            tick = room.free_tick(reader, track)
            mask[tracks.start + track] = tick <= reader.tick
            earliest = min(earliest, tick)
        for track in set_tracks:
            mask[tracks.start + track] = True
        if reader.track not in set_tracks:
            narrow_pitches(reader, mask)
        # a position must hold a note, so there is none before a track is free
        mask[positions.start : positions.start + min(max(0, earliest - reader.bar_start), len(positions))] = False
        return mask

    def narrow_pitches(reader: Reader, mask: Mask) -> None:
        room = free_rooms.get(reader.track)
        pitches = room.pitches_now(reader, reader.track) if room else NO_PITCH
        if room and room.must_go_on(reader, reader.track):
            mask[:] = False
        for span in spans:
            mask[span.start : span.stop] = pitches
        if not _pitch_is_left(reader, pitches):
            mask[velocities.start : velocities.stop] = False

    return _known(rule, free_rooms, fixed)


def _known(rule: Rule, rooms: Mapping[int, Room], fixed: Fixed | None) -> Rule:
    """The rule with its form in the native core, which knows rooms that are free."""
    width = 2 if fixed is None else fixed.table.shape[1]
    table, pitches = np.zeros((MAX_TRACKS, width), np.int32), np.zeros((MAX_TRACKS, 128), bool)
    for track, room in rooms.items():
        if not isinstance(room, Free) or room.polyphony < 1:
            return rule
        table[track, :2], pitches[track] = (room.polyphony, room.pitches.sum()), room.pitches
    if fixed is None:
        return KnownRule(rule, NativeForm("playable", mask=pitches, table=table))
    both = np.concatenate([table, fixed.table])
    return KnownRule(rule, NativeForm("playable", (fixed.bits,), pitches, both))


def _pitch_is_left(reader: Reader, pitches: Mask) -> bool:
    """Return True where the track under way can take one of these: above its last here, and not sounding already."""
    left = int(np.count_nonzero(pitches[reader.last_pitch + 1 :]))
    sounding = {pitch for _, of, pitch in reader.active if of == reader.track and pitch > reader.last_pitch}
    return left > sum(bool(pitches[pitch]) for pitch in sounding)

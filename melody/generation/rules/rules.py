"""Musical rules as masks: each is a pure function of what has been read, `rule(reader) -> mask (V,) of what it allows`.

They narrow what the grammar allows, one after the other; a rule that would leave nothing yields to those before it, so
the order is the order of importance and sampling never gets stuck. Rules that must always hold come first and close the
ways to where they could not (see `playable`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID, bar_length
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import MAX_DURATION, METERS

Mask = NDArray[np.bool_]
Rule = Callable[[Reader], Mask | None]  # None: nothing to say here


def narrowed(lawful: Mask, reader: Reader, rules: Sequence[Rule]) -> Mask:
    """What may follow: what the grammar allows, narrowed by each rule in turn."""
    opinions = [opinion for rule in rules if (opinion := rule(reader)) is not None]
    mask = lawful.copy()
    for opinion in opinions:
        mask &= opinion
    return mask if np.count_nonzero(mask) else _yielding(lawful, opinions)


def _yielding(lawful: Mask, opinions: Sequence[Mask]) -> Mask:
    """The same where the opinions together leave nothing: each that would leave nothing of those before it yields."""
    for opinion in opinions:
        rest = lawful & opinion
        lawful = rest if rest.any() else lawful
    return lawful


def without(vocabulary: Vocabulary, *kinds: str) -> Mask:
    """The mask of all tokens but those of some types."""
    mask = np.ones(len(vocabulary), bool)
    for kind in kinds:
        span = vocabulary.ids[kind]
        mask[span.start : span.stop] = False
    return mask


def exact_bars(
    vocabulary: Vocabulary, total: int, closes: bool = True, end: int | None = None, sounds: bool = True
) -> Rule:
    """The piece has `total` bars, no more and no less, and no note sounds past the last bar line.

    Where the piece does not close there, composing stops with the bar line after them instead (`Plan.stop`). The tick
    of the last bar line is `end` where the meters are known, else as if all bars were as long as the one under way. In
    the last bar something `sounds`, else the file would be shorter.
    """
    everything, open_bar, last_bar = (without(vocabulary, *kinds) for kinds in ((), ("End",), ("Bar",)))
    if not closes:
        last_bar = open_bar
    silent = without(vocabulary, "End", "Bar")
    durations, sustain = vocabulary.ids["Duration"], vocabulary.ids["Sustain"][0]
    meters = vocabulary.ids["TimeSignature"]
    lengths = np.array([int(bar_length(n, d, GRID)) for n, d in METERS])

    def rule(reader: Reader) -> Mask:
        if reader.kind in ("Pitch", "Drum", "Sustain"):
            last_line = reader.bar_start + reader.bar_ticks * (total - reader.bar) if end is None else end
            room = last_line - reader.tick - reader.length
            mask = everything.copy()
            mask[durations.start + max(room, 1) : durations.stop] = False
            mask[sustain] = room > MAX_DURATION
            return mask
        mask = last_bar if reader.bar + 1 >= total else open_bar
        if not reader.sounding and reader.bar + 1 >= total and sounds:
            mask = silent
        if reader.kind == "Bar" and end is None:  # a shorter meter must still hold what sounds on
            mask = mask.copy()
            mask[meters.start : meters.stop] = reader.bar_start + lengths * (total - reader.bar) >= reader.sound_end
        return mask

    return rule


def no_long_silence(vocabulary: Vocabulary) -> Rule:
    """At most one bar in a row is empty."""
    no_bar = without(vocabulary, "Bar")

    def rule(reader: Reader) -> Mask | None:
        silent = reader.bar >= 0 and not reader.sounding
        return no_bar if silent and reader.sound_end <= reader.bar_before else None

    return rule


class Room(Protocol):
    """What a track may take."""

    @property
    def polyphony(self) -> int:
        """Notes at once, at most."""

    def free_tick(self, reader: Reader, track: int) -> int:
        """The tick from which on the track may take a note, as far as can be seen."""

    def pitches_now(self, reader: Reader, track: int) -> Mask:
        """The pitches (128,) of which it may take one now, apart from those the grammar forbids; it is its turn."""

    def must_go_on(self, reader: Reader, track: int) -> bool:
        """Whether a note of this track has to follow at once; it is its turn."""


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
NEVER = 2**40  # ticks


class Fixed(Protocol):
    """Notes that will be written, see `melody.generation.rules.fixed_notes`."""

    tracks: frozenset[int]

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

    return rule


def _pitch_is_left(reader: Reader, pitches: Mask) -> bool:
    """Whether the track under way can take one of these: above its last of this onset, and not sounding already."""
    left = int(np.count_nonzero(pitches[reader.last_pitch + 1 :]))
    sounding = {pitch for _, of, pitch in reader.active if of == reader.track and pitch > reader.last_pitch}
    return left > sum(bool(pitches[pitch]) for pitch in sounding)


def keep_meters(vocabulary: Vocabulary, meters: Callable[[int], tuple[int, int]], first_bar: int) -> Rule:
    """Each bar from `first_bar` (from 0) on has the meter that `meters` gives for it."""
    ids = vocabulary.ids["TimeSignature"]
    no_change = without(vocabulary, "TimeSignature")

    def rule(reader: Reader) -> Mask | None:
        if reader.kind != "Bar" or reader.bar < first_bar:
            return None
        index = METERS.index(meters(reader.bar))
        if reader.meter == index:
            return no_change
        wanted = np.zeros(len(vocabulary), bool)
        wanted[ids[index]] = True
        return wanted

    return rule


def state_at_start(vocabulary: Vocabulary, token: int) -> Rule:
    """The first position of a piece states this key or tempo token, and no other of its type comes later."""
    kind = vocabulary.kind_of[token]
    none_of_it = without(vocabulary, kind)
    only = none_of_it.copy() if kind == "Tempo" else np.zeros(len(vocabulary), bool)
    only[token] = True

    def rule(reader: Reader) -> Mask | None:
        if reader.bar == 0 and reader.tick == 0 and reader.kind == "Position":
            return only
        if reader.bar == 0 and reader.tick == 0 and reader.kind == "Key" and kind == "Tempo":
            return only
        return none_of_it

    return rule


def no_change_of(vocabulary: Vocabulary, *kinds: str) -> Rule:
    """No token of these types: tempo and key stay as they are."""
    mask = without(vocabulary, *kinds)
    return lambda reader: mask


def only_seen(seen: Mask) -> Rule:
    """Only tokens that stood in the training music: of others the model knows nothing."""
    return lambda reader: seen

"""Musical rules as masks: each is a pure function of what has been read, `rule(reader) -> mask (V,) of what it allows`.

They narrow what the grammar allows, one after the other; a rule that would leave nothing yields to those before it, so
the order is the order of importance and sampling never gets stuck. Rules that must always hold come first and close the
ways to where they could not (see `playable`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.score import GRID, bar_length
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import MAX_DURATION, METERS

Mask = NDArray[np.bool_]
Rule = Callable[[Reader], Mask | None]  # None: nothing to say here


def narrowed(lawful: Mask, reader: Reader, rules: Sequence[Rule]) -> Mask:
    """What may follow: what the grammar allows, narrowed by each rule in turn."""
    mask = lawful
    for rule in rules:
        opinion = rule(reader)
        if opinion is not None:
            rest = mask & opinion
            if rest.any():
                mask = rest
    return mask


def without(vocabulary: Vocabulary, *kinds: str) -> Mask:
    """The mask of all tokens but those of some types."""
    mask = np.ones(len(vocabulary), bool)
    for kind in kinds:
        span = vocabulary.ids[kind]
        mask[span.start : span.stop] = False
    return mask


def exact_bars(vocabulary: Vocabulary, total: int) -> Rule:
    """The piece has `total` bars, no more and no less, and no note sounds past the last bar line."""
    open_bar, last_bar = without(vocabulary, "End"), without(vocabulary, "Bar")
    durations, sustain = vocabulary.ids["Duration"], vocabulary.ids["Sustain"][0]
    meters = vocabulary.ids["TimeSignature"]
    lengths = np.array([int(bar_length(n, d, GRID)) for n, d in METERS])

    def rule(reader: Reader) -> Mask:
        if reader.kind in ("Pitch", "Drum", "Sustain"):
            room = reader.bar_start + reader.bar_ticks * (total - reader.bar) - reader.tick - reader.length
            mask = np.ones(len(vocabulary), bool)
            mask[durations.start + max(room, 1) : durations.stop] = False
            mask[sustain] = room > MAX_DURATION
            return mask
        mask = last_bar if reader.bar + 1 >= total else open_bar
        if not reader.sounding:  # the grammar would let a piece of one empty bar end
            mask = mask & open_bar
        if reader.kind == "Bar":  # a shorter meter must still hold what sounds on
            mask = mask.copy()
            mask[meters.start : meters.stop] = reader.bar_start + lengths * (total - reader.bar) >= reader.sound_end
        return mask

    return rule


def no_long_silence(vocabulary: Vocabulary) -> Rule:
    """At most one bar in a row is empty."""
    no_bar = without(vocabulary, "Bar")

    def rule(reader: Reader) -> Mask | None:
        silent = reader.bar >= 0 and not reader.sounding
        return (
            no_bar if silent and (reader.bar == 0 or reader.sound_end <= reader.bar_start - reader.bar_ticks) else None
        )

    return rule


@dataclass(frozen=True)
class Room:
    """What a track may take: at most `polyphony` notes at once, of `pitches` (128,)."""

    polyphony: int
    pitches: Mask


def playable(vocabulary: Vocabulary, rooms: Mapping[int, Room]) -> Rule:
    """New notes go to these tracks alone, and none of them ever has more notes at once or other pitches than it may.

    This always holds: wherever a token would lead to where no note is left to take, the way there is closed. A track is
    opened while it has room and a free pitch, a velocity while a pitch can follow it, and a position (which must hold a
    note) from the tick on at which some track is free. Between bars nothing is lost by that, as with nothing sounding
    every track is free; so the rule never has to yield to `exact_bars` or `no_long_silence`, nor they to it.
    """
    tracks, positions = vocabulary.ids["Track"], vocabulary.ids["Position"].start
    spans = [vocabulary.ids[kind] for kind in ("Pitch", "Drum")]
    velocities = vocabulary.ids["Velocity"]
    highest_first = {track: np.flatnonzero(room.pitches)[::-1].tolist() for track, room in rooms.items()}

    def rule(reader: Reader) -> Mask | None:
        if reader.bar < 0 or reader.kind in ("Pitch", "Drum", "Sustain"):
            return None
        free = {track: _free_tick(reader, track, room, len(highest_first[track])) for track, room in rooms.items()}
        mask = np.ones(len(vocabulary), bool)
        mask[tracks.start : tracks.stop] = False
        for track, tick in free.items():
            mask[tracks.start + track] = tick <= reader.tick
        here = reader.track in free and free[reader.track] <= reader.tick
        for span in spans:
            mask[span.start : span.stop] = rooms[reader.track].pitches if here else False
        if not here or not _pitch_is_left(reader, highest_first[reader.track]):
            mask[velocities.start : velocities.stop] = False
        # a position must hold a note, so there is none before a track is free
        mask[positions : positions + max(0, min(free.values()) - reader.bar_start)] = False
        return mask

    return rule


def _free_tick(reader: Reader, track: int, room: Room, count: int) -> int:
    """The tick from which on a track may take a note: fewer than it may have sound, and one of its `count` pitches not.

    Both only become truer as the notes now sounding end.
    """
    sounding = [(end, pitch) for end, of, pitch in reader.active if of == track]
    tick = 0
    if len(sounding) >= room.polyphony:
        tick = sorted((end for end, _ in sounding), reverse=True)[room.polyphony - 1]
    if len(sounding) >= count:  # else a pitch is left
        taken = [end for end, pitch in sounding if room.pitches[pitch]]
        if len(taken) >= count:
            tick = max(tick, min(taken))
    return tick


def _pitch_is_left(reader: Reader, highest_first: Sequence[int]) -> bool:
    """Whether the track under way has a pitch above its last of this onset that does not sound already."""
    for pitch in highest_first:
        if pitch <= reader.last_pitch:
            return False
        if not any(of == reader.track and sounds == pitch for _, of, sounds in reader.active):
            return True
    return False


def keep_meter(vocabulary: Vocabulary, meter: tuple[int, int], first_bar: int) -> Rule:
    """The meter is `meter` from bar `first_bar` (from 0) on."""
    index = METERS.index(meter)
    no_change = without(vocabulary, "TimeSignature")
    wanted = np.zeros(len(vocabulary), bool)
    wanted[vocabulary.ids["TimeSignature"][index]] = True

    def rule(reader: Reader) -> Mask | None:
        if reader.kind != "Bar" or reader.bar < first_bar:
            return None
        return no_change if reader.meter == index else wanted

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

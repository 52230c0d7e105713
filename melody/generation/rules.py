"""Musical rules as masks: each is a pure function of what has been read, `rule(reader) -> mask (V,) of what it allows`.

They narrow what the grammar allows, one after the other; a rule that would leave nothing yields to those before it, so
the order is the order of importance and sampling never gets stuck.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

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


def max_polyphony(vocabulary: Vocabulary, limits: Mapping[int, int]) -> Rule:
    """At most `limits[track]` notes of a track sound at once; new notes go to these tracks alone."""
    tracks, positions = vocabulary.ids["Track"].start, vocabulary.ids["Position"].start
    no_note = without(vocabulary, "Pitch", "Drum", "Velocity")

    def rule(reader: Reader) -> Mask | None:
        if reader.bar < 0 or reader.kind in ("Pitch", "Drum", "Sustain"):
            return None
        free = {track: _free_tick(reader, track, limit) for track, limit in limits.items()}
        mask = no_note.copy() if free.get(reader.track, 0) > reader.tick else np.ones(len(vocabulary), bool)
        for track, tick in free.items():
            mask[tracks + track] = tick <= reader.tick
        # a position must hold a note, so there is none before a track has room
        mask[positions : positions + max(0, min(free.values()) - reader.bar_start)] = False
        return mask

    return rule


def _free_tick(reader: Reader, track: int, limit: int) -> int:
    """The tick from which on fewer than `limit` of the notes now sounding in a track sound."""
    ends = sorted((end for end, of, _ in reader.active if of == track), reverse=True)
    return ends[limit - 1] if len(ends) >= limit else 0


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


def only_tracks(vocabulary: Vocabulary, tracks: Collection[int]) -> Rule:
    """New notes go to these tracks of the model alone."""
    mask = without(vocabulary, "Track")
    mask[[vocabulary.ids["Track"][track] for track in tracks]] = True
    return lambda reader: mask if reader.bar >= 0 else None


def only_seen(seen: Mask) -> Rule:
    """Only tokens that stood in the training music: of others the model knows nothing."""
    return lambda reader: seen

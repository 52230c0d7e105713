"""Rules of bars: how many there are, which meters they have, and that none stays silent for long."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from melody.generation.rules.contract import Mask, Rule, without
from melody.generation.rules.native_form import KnownRule, NativeForm
from melody.music.score import Ints
from melody.tokens import Reader, Vocabulary
from melody.tokens.plan import BAR_TICKS
from melody.tokens.vocabulary import MAX_DURATION, MAX_TRACKS, METERS


def exact_bars(
    vocabulary: Vocabulary, total: int, closes: bool = True, end: int | None = None, sounds: bool = True
) -> Rule:
    """The piece has `total` bars, no more and no less, and no note sounds past the last bar line.

    A pickup is no bar where whole ones are planned (`Plan.whole`). Where the piece does not close there, composing
    stops with the bar line after them instead (`Plan.stop`). The tick of the last bar line is `end` where the meters
    are known, else as if all bars were as long as the one under way. In the last bar something `sounds`, else the file
    would be shorter.
    """
    everything, open_bar, last_bar = (without(vocabulary, *kinds) for kinds in ((), ("End",), ("Bar",)))
    if not closes:
        last_bar = open_bar
    silent = without(vocabulary, "End", "Bar")
    durations, sustain = vocabulary.ids["Duration"], vocabulary.ids["Sustain"][0]
    meters = vocabulary.ids["TimeSignature"]
    lengths = np.array(BAR_TICKS)

    def rule(reader: Reader) -> Mask:
        left = total + reader.plan.had_pickup - reader.bar
        if reader.kind in ("Pitch", "Drum", "Sustain"):
            last_line = reader.bar_start + reader.bar_ticks * left if end is None else end
            room = last_line - reader.tick - reader.length
            mask = everything.copy()
            mask[durations.start + max(room, 1) : durations.stop] = False
            mask[sustain] = room > MAX_DURATION
            return mask
        mask = last_bar if left <= 1 else open_bar
        if not reader.sounding and left <= 1 and sounds:
            mask = silent
        if reader.kind == "Bar" and end is None:  # a shorter meter must still hold what sounds on
            mask = mask.copy()
            mask[meters.start : meters.stop] = reader.bar_start + lengths * left >= reader.sound_end
        return mask

    return KnownRule(rule, NativeForm("exact bars", (total, closes, -1 if end is None else end, sounds)))


def no_long_silence(vocabulary: Vocabulary) -> Rule:
    """At most one bar in a row is empty."""
    no_bar = without(vocabulary, "Bar")

    def rule(reader: Reader) -> Mask | None:
        silent = reader.bar >= 0 and not reader.sounding
        return no_bar if silent and reader.sound_end <= reader.bar_before else None

    return KnownRule(rule, NativeForm("no long silence"))


def no_long_silence_of(vocabulary: Vocabulary, tracks: Collection[int], first_tick: int) -> Rule:
    """At most one bar in a row is empty of these tracks, whatever others play; from `first_tick` on they do play."""
    no_bar, no_way_on = without(vocabulary, "Bar"), without(vocabulary, "Bar", "End")

    def rule(reader: Reader) -> Mask | None:
        if reader.bar < 0:
            return None
        latest = [note for track in tracks if (note := reader.history[track])]
        end = max((note.onset + note.duration for note in latest), default=0)
        if end <= first_tick:
            last = reader.bar + 1 == (reader.plan.stop or reader.plan.bars)
            return no_way_on if last or end <= reader.bar_before else None
        return no_bar if end <= reader.bar_before else None

    return KnownRule(rule, NativeForm("no long silence of", (sum(1 << track for track in tracks), first_tick)))


def each_sounds(
    vocabulary: Vocabulary, entries: Mapping[int, int], lines: Ints, first: int, stop: int, most_empty: int
) -> Rule:
    """Each of some tracks sounds at once, and then at most `most_empty` bars in a row are empty of it.

    `entries` are ticks in the bar by track: there it comes in where it must sound, unless it has before. `lines` are
    the bar lines in ticks; the bars are those from `first` on and before `stop`.
    """
    ids = vocabulary.ids
    positions, tracks = ids["Position"], ids["Track"]
    no_way_on, no_passing = without(vocabulary, "Bar", "End"), without(vocabulary, "Position", "Bar", "End")
    no_note = without(vocabulary, "Pitch", "Drum", "Velocity")

    def is_due(reader: Reader, track: int) -> bool:
        latest = reader.history[track]
        end = latest.onset + latest.duration if latest else 0
        return end <= lines[first] or (reader.bar - most_empty >= first and end <= lines[reader.bar - most_empty])

    def rule(reader: Reader) -> Mask | None:
        if not first <= reader.bar < stop or reader.kind in ("Pitch", "Drum", "Sustain"):
            return None
        due = [track for track in entries if is_due(reader, track)]
        if not due:
            return None
        here, past = reader.tick - reader.bar_start, reader.track if reader.noted else -1
        now = min((track for track in due if track > past and entries[track] <= here), default=None)
        mask = (no_way_on if now is None or reader.position < 0 else no_passing).copy()
        if now is not None and reader.position >= 0:
            mask[tracks.start + now + 1 : tracks.stop] = False
            if reader.track > now:  # it would play on here without being named again
                mask &= no_note
        to_come = [entries[track] for track in due if entries[track] > here or reader.position < 0]
        if to_come:
            mask[positions.start + min(to_come) + 1 : positions.stop] = False
        return mask

    table = np.array([*(entries.get(track, -1) for track in range(MAX_TRACKS)), *lines])
    return KnownRule(rule, NativeForm("each sounds", (first, stop, most_empty), table=table[:, None]))


def keep_meters(vocabulary: Vocabulary, meters: Sequence[tuple[int, int]], first_bar: int) -> Rule:
    """Each bar from `first_bar` (from 0) on has its meter of `meters`."""
    ids = vocabulary.ids["TimeSignature"]
    no_change = without(vocabulary, "TimeSignature")

    def rule(reader: Reader) -> Mask | None:
        if reader.kind != "Bar" or reader.bar < first_bar:
            return None
        index = METERS.index(meters[reader.bar])
        if reader.meter == index:
            return no_change
        wanted = np.zeros(len(vocabulary), bool)
        wanted[ids[index]] = True
        return wanted

    table = np.array([[METERS.index(meter)] for meter in meters])
    return KnownRule(rule, NativeForm("keep meters", (first_bar,), table=table))

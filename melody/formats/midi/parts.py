"""Channel messages to notes, controls and pitch bends, and these to the tracks of a score, all in numpy."""

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic import TextMeta, Track
from symusic.core import ControlChangeTickList, PitchBendTickList, TrackTick

from melody.errors import LimitExceeded
from melody.formats.midi.drums import Kits, looks_like_drums
from melody.formats.midi.events import MidiFile, MidiTrack, Repairs
from melody.formats.midi.metas import Labels
from melody.music.score import Ints, Notes, set_notes

NOTE_OFF, NOTE_ON, POLY_PRESSURE, CONTROL, PROGRAM, PRESSURE, PITCH_BEND = range(0x8, 0xF)
BEND_CENTRE = 8192
ORPHANS = "note-offs of notes that do not sound"


class Messages(NamedTuple):
    """Channel messages of one MIDI track as columns."""

    place: Ints  # index among the track's events
    tick: Ints
    channel: Ints
    first: Ints
    second: Ints

    def take(self, where: NDArray[np.bool_] | Ints) -> "Messages":
        """The messages at `where` (a mask or positions)."""
        return Messages(*(column[where] for column in self))

    def channels(self) -> list[int]:
        """Return the channels that they are on, in order."""
        found: list[int] = np.bincount(self.channel).nonzero()[0].tolist() if len(self.channel) else []
        return found

    def on(self, channel: int) -> "Messages":
        """The messages on a channel."""
        mine = self.channel == channel
        return self if np.count_nonzero(mine) == len(mine) else self.take(mine)


class PartMessages(NamedTuple):
    """Channel messages of one MIDI track: its notes with the message that began each, and the others by kind."""

    begins: Messages  # the note-ons, one a note
    notes: Notes
    programs: Messages
    controls: Messages
    bends: Messages
    pressures: Messages  # of a whole channel
    touches: Messages  # of one pitch


class Part(NamedTuple):
    """One MIDI track: its labels, and its channel messages as in `PartMessages`."""

    labels: Labels
    begins: Messages
    notes: Notes
    programs: Messages
    controls: Messages
    bends: Messages
    pressures: Messages
    touches: Messages


class ChannelSettings(NamedTuple):
    """Messages of one channel of a part, beside notes."""

    programs: Messages
    controls: Messages
    bends: Messages


def read_columns(track: MidiTrack, number: int, repairs: Repairs, left_out: Counter[str]) -> PartMessages:
    """The channel messages of MIDI track `number`; every note ends at the track's end at the latest."""
    packed = np.frombuffer(track.messages, np.uint32).astype(np.int64)
    ticks = np.frombuffer(track.ticks, np.int64)
    kind = packed >> 20
    every = Messages(np.arange(len(packed)), ticks, packed >> 16 & 0xF, packed >> 8 & 0x7F, packed & 0x7F)
    begins, notes = _pair(every, kind, track.end, number, repairs, left_out)
    kinds = (PROGRAM, CONTROL, PITCH_BEND, PRESSURE, POLY_PRESSURE)
    return PartMessages(begins, notes, *(every.take(np.flatnonzero(kind == k)) for k in kinds))


def _pair(
    every: Messages, kind: Ints, end: int, number: int, repairs: Repairs, left_out: Counter[str]
) -> tuple[Messages, Notes]:
    """Note-ons with their notes, in the order (onset, pitch, duration, velocity); first on, first off."""
    order = np.flatnonzero((kind == NOTE_ON) | (kind == NOTE_OFF))
    key = every.channel[order] << 7 | every.first[order]
    by_key = np.argsort(key, kind="stable")
    order, key = order[by_key], key[by_key]
    is_on = (kind[order] == NOTE_ON) & (every.second[order] > 0)
    if _alternate(key, is_on):  # the ordinary track
        begin, end_ticks = order[::2], every.tick[order[1::2]]
        open_ = np.zeros(len(begin), np.bool_)
    else:
        useful = is_on | ~_orphans(key, is_on)
        if orphans := int(np.count_nonzero(~useful)):
            left_out[ORPHANS] += orphans
            order, key, is_on = order[useful], key[useful], is_on[useful]
        begin = order[is_on]
        end_ticks, open_ = _ends(every.tick[order], key, is_on, end)
    _note_repairs(every.tick[begin], end_ticks, open_, number, repairs)
    begins = every.take(begin)
    notes = Notes(begins.tick, np.maximum(1, end_ticks - begins.tick), begins.first, begins.second)
    by_time = np.lexsort((notes.velocity, notes.duration, notes.pitch, notes.onset))
    return begins.take(by_time), notes.take(by_time)


def _alternate(key: Ints, is_on: NDArray[np.bool_]) -> bool:
    """Tell if each note-on of a key is followed by its note-off before the next; `key` is sorted."""
    if len(key) % 2 or is_on[1::2].any() or not is_on[::2].all():
        return False
    return bool((key[::2] == key[1::2]).all())


def _orphans(key: Ints, is_on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Note-offs that no note-on of their key is left for; `key` is sorted, each key's messages in order of time."""
    walk = np.cumsum(np.where(is_on, 1, -1))
    first = np.flatnonzero(np.diff(key, prepend=-1))
    base = np.repeat(walk[first] - np.where(is_on[first], 1, -1), np.diff(first, append=len(key)))
    # Open notes since the key's first message; an orphan is a new minimum below zero. Each key starts far below the
    # one before, so that one running minimum serves all.
    fall = np.repeat(np.arange(len(first)), np.diff(first, append=len(key))) * (2 * len(key) + 2)
    level = walk - base - fall
    lowest = np.minimum.accumulate(np.minimum(level, -fall))
    before = np.concatenate([[1], lowest[:-1]])
    orphan: NDArray[np.bool_] = ~is_on & (level < np.minimum(before, -fall))
    return orphan


def _ends(tick: Ints, key: Ints, is_on: NDArray[np.bool_], end: int) -> tuple[Ints, NDArray[np.bool_]]:
    """The end of each note, and whether it has no note-off; `key` is sorted, each key's messages in order of time.

    First on, first off. Where a key's notes never come to rest again, a note-off has been lost, and a note ends where
    its pitch begins again, at the latest at the track's `end`.
    """
    hanging = _hanging(key, is_on)
    resting_on, resting_off = is_on & ~hanging, ~is_on & ~hanging
    ends, open_ = np.full(len(key), end, np.int64), np.zeros(len(key), np.bool_)
    ends[resting_on] = tick[resting_off]  # of a key there are as many of both, and the keys are sorted
    followed = np.append(key[1:] == key[:-1], False)
    ends[hanging & followed] = np.append(tick[1:], end)[hanging & followed]
    open_[hanging] = ~(followed & ~np.append(is_on[1:], True))[hanging]
    return ends[is_on], open_[is_on]


def _hanging(key: Ints, is_on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Messages after which their key's notes never all have ended; there are no orphans among them."""
    if not len(key):
        return np.zeros(0, np.bool_)
    walk = np.cumsum(np.where(is_on, 1, -1))
    first = np.flatnonzero(np.diff(key, prepend=-1))
    sizes = np.diff(first, append=len(key))
    base = np.repeat(np.concatenate([[0], walk[first[1:] - 1]]), sizes)
    place = np.arange(len(key))
    rest = np.maximum.reduceat(np.where(walk == base, place, -1), first)  # where all have ended, for the last time
    return place > np.repeat(rest, sizes)


def _note_repairs(onsets: Ints, ends: Ints, open_: NDArray[np.bool_], number: int, repairs: Repairs) -> None:
    if count := int(np.count_nonzero(open_)):
        repairs.add(
            "notes without an end; ended where their pitch begins again or their track ends",
            f"{count:,} in track {number}",
        )
    note_brief(int(np.count_nonzero((ends == onsets) & ~open_)), number, repairs)


def note_brief(count: int, number: int, repairs: Repairs) -> None:
    """Note so many notes without length in MIDI track `number`."""
    if count:
        repairs.add("notes without length; made one tick long", f"{count:,} in track {number}")


# ---- tracks of the score ---------------------------------------------------------------------------------------------


def tracks_of(parts: list[Part], file: MidiFile) -> tuple[list[Track], list[tuple[int, int]]]:
    """One track for each (part, channel, program) with notes, and the part and channel (from 0) of each.

    Controls act on a channel: each track of a part gets those of its channel, and those that stand in parts without
    notes of that channel; so do lyrics of a part without notes go to the first track. Raises `LimitExceeded` where
    this makes too many tracks or events.
    """
    tracks: list[Track] = []
    origins: list[tuple[int, int]] = []
    strays, kits = _strays(parts), Kits(file)
    for number, part in enumerate(parts):
        before = len(tracks)
        for channel in part.begins.channels():
            tracks += _channel_tracks(part, channel, strays[channel], kits, file)
            origins += [(number, channel)] * (len(tracks) - len(origins))
            if len(tracks) > file.limits.tracks:
                raise LimitExceeded(
                    f"{file.name}: tracks, channels and programs make over {file.limits.tracks:,} tracks, "
                    "all that melody reads; leave some out"
                )
        lyrics = [TextMeta(tick, text) for tick, text in part.labels.lyrics]
        if lyrics and len(tracks) > before:
            tracks[before].lyrics = lyrics
    homeless = [lyric for part in parts if not len(part.notes.onset) for lyric in part.labels.lyrics]
    if homeless and tracks:
        own = [(lyric.time, lyric.text) for lyric in tracks[0].lyrics]
        tracks[0].lyrics = [TextMeta(*lyric) for lyric in sorted(own + homeless, key=lambda lyric: lyric[0])]
    return tracks, origins


def _channel(part: Part, channel: int) -> ChannelSettings:
    return ChannelSettings(part.programs.on(channel), part.controls.on(channel), part.bends.on(channel))


def _strays(parts: list[Part]) -> dict[int, list[ChannelSettings]]:
    """By channel: the messages of the parts that have no notes on that channel."""
    strays: dict[int, list[ChannelSettings]] = defaultdict(list)
    for part in parts:
        kinds = (part.programs, part.controls, part.bends)
        channels = {channel for messages in kinds for channel in messages.channels()}
        for channel in channels.difference(part.begins.channels()) if channels else ():
            strays[channel].append(_channel(part, channel))
    return strays


def _channel_tracks(part: Part, channel: int, strays: list[ChannelSettings], kits: Kits, file: MidiFile) -> list[Track]:
    begins, notes = part.begins, part.notes
    mine = begins.channel == channel
    if np.count_nonzero(mine) < len(mine):
        begins, notes = begins.take(mine), notes.take(mine)
    own = _channel(part, channel)
    controls = _merged([stray.controls for stray in strays] + [own.controls])
    bends = _merged([stray.bends for stray in strays] + [own.bends])
    tracks = []
    for number, own_notes in _by_program(begins, notes, own.programs, [stray.programs for stray in strays]):
        middle = int(own_notes.onset[len(own_notes.onset) // 2])  # set-up messages may come a little late
        is_drum = kits.has_part(channel, middle, _bank(controls, middle))
        track = TrackTick(part.labels.name, number, is_drum or looks_like_drums(part.labels.name, own_notes.pitch))
        set_notes(track, own_notes)
        if len(controls.tick):
            columns = ((controls.tick, np.int32), (controls.first, np.uint8), (controls.second, np.uint8))
            track.controls = ControlChangeTickList.from_numpy(*(column.astype(kind) for column, kind in columns))
        if len(bends.tick):
            bend = (bends.second << 7 | bends.first) - BEND_CENTRE
            track.pitch_bends = PitchBendTickList.from_numpy(bends.tick.astype(np.int32), bend.astype(np.int32))
        tracks.append(track)
        file.count(len(controls.tick) + len(bends.tick))
    return tracks


def _bank(controls: Messages, tick: int) -> int | None:
    """The bank that is chosen at a tick; None where none is."""
    chosen = controls.second[(controls.first == 0) & (controls.tick <= tick)]
    return int(chosen[-1]) if len(chosen) else None


def _by_program(
    begins: Messages, notes: Notes, changes: Messages, elsewhere: list[Messages]
) -> list[tuple[int, Notes]]:
    """Each program with its notes: the last change before a note; a first change that comes late is from the start."""
    start, first_note = 0, int(begins.tick[0])
    for other in [*elsewhere, changes]:
        in_time = other.first[other.tick <= first_note][:1]
        start = int(in_time[0]) if len(in_time) else start
    if not len(changes.place):
        return [(start, notes)]
    if changes.place[-1] < begins.place.min():
        return [(int(changes.first[-1]), notes)]
    last = np.searchsorted(changes.place, begins.place) - 1
    program = np.concatenate([changes.first, [start]])[last]  # -1, before any change, takes the last: `start`
    return [(number, notes.take(program == number)) for number in np.unique(program).tolist()]


def _merged(messages: list[Messages]) -> Messages:
    if len(messages) == 1:
        return messages[0]
    merged = Messages(*(np.concatenate(columns) for columns in zip(*messages, strict=True)))
    return merged.take(np.argsort(merged.tick, kind="stable"))

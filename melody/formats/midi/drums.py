"""Drum tracks: those on channel 10, unless the file says or shows otherwise.

In order: a part that a GS or XG message makes a rhythm part, or takes off it; banks of XG (126, 127) and GM2 (120; 121
is melodic), once the file has turned that system on; channel 10; a name such as "Drums" together with pitches that look
like a kit. Sources: Roland SC-88Pro and Yamaha XG MIDI data formats; General MIDI 2 (MMA, 1999).
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from melody.formats.midi.events import SYSEX, MidiFile
from melody.music.general_midi import DRUM_CHANNEL
from melody.music.score import Ints

_RESETS = {
    "gm": rb"\x7e.\x09[\x01\x02]",
    "gm2": rb"\x7e.\x09\x03",
    "gs": rb"\x41.\x42\x12\x40\0\x7f\0",
    "xg": rb"\x43[\x10-\x1f]\x4c\0\0\x7e\0",
}
_SYSTEM_ON = re.compile(b"|".join(b"(?P<%s>%s)" % (name.encode(), form) for name, form in _RESETS.items()), re.DOTALL)
_GS_PART = re.compile(rb"\x41.\x42\x12\x40([\x10-\x1f])\x15(.)", re.DOTALL)
_XG_PART = re.compile(rb"\x43[\x10-\x1f]\x4c\x08([\0-\x0f])\x07(.)", re.DOTALL)
_GS_CHANNELS = (9, *range(9), *range(10, 16))  # of the parts in order: the first is channel 10
_BANKS = {"xg": (126, 127), "gm2": (120,)}  # of drums
_GM2_MELODIC = 121
_NAME = re.compile(
    r"\b(?:drums?|drum ?(?:kit|set|s)|kit|perc|percs|percussions?|beats?|schlagzeug|batterie|bater[ií]a|batteria)\b",
    re.IGNORECASE,
)
_KICKS, _SNARES, _HATS = (35, 36), (37, 38, 39, 40), (42, 44, 46)
_CORE, _ALL = range(35, 60), range(27, 88)  # kicks to cymbals; what General MIDI 2 knows


class _Change(NamedTuple):
    """A system turned on, or the mode of one part."""

    tick: int
    place: int  # among all changes
    system: str  # "" for a part
    channel: int
    is_drum: bool


class Kits:
    """The channels of a file that are drums, and when."""

    def __init__(self, file: MidiFile) -> None:
        changes = sorted(_changes(file), key=lambda change: change.tick)
        numbered = [change._replace(place=place) for place, change in enumerate(changes)]
        self._systems = [change for change in numbered if change.system]
        self._parts = defaultdict[int, list[_Change]](list)
        for change in numbered:
            if not change.system:
                self._parts[change.channel].append(change)

    def has_part(self, channel: int, tick: int, bank: int | None) -> bool:
        """Tell if a channel plays drums at a tick, with this bank (controller 0) chosen."""
        system, part = _last(self._systems, tick), _last(self._parts[channel], tick)
        if part and not (system and system.place > part.place):  # turning a system on resets its parts
            return part.is_drum
        name = system.system if system else ""
        if bank in _BANKS.get(name, ()):
            return True
        return channel == DRUM_CHANNEL and not (name == "gm2" and bank == _GM2_MELODIC)


def _last(changes: list[_Change], tick: int) -> _Change | None:
    """The last of changes in order that is in force at a tick."""
    place = bisect_right(changes, tick, key=lambda change: change.tick)
    return changes[place - 1] if place else None


def _changes(file: MidiFile) -> Iterator[_Change]:
    for track in file.tracks:
        for index, payload in track.payloads.items():
            if track.messages[index] >> 16 != SYSEX:
                continue
            tick = track.ticks[index]
            if found := _SYSTEM_ON.match(payload):
                yield _Change(tick, 0, str(found.lastgroup), 0, False)
            elif found := _GS_PART.match(payload):
                yield _Change(tick, 0, "", _GS_CHANNELS[found[1][0] & 0xF], found[2] in (b"\1", b"\2"))
            elif found := _XG_PART.match(payload):
                yield _Change(tick, 0, "", found[1][0], found[2] != b"\0")


def moves_drums(payload: bytes) -> bool:
    """Tell if a system-exclusive message makes a part drums or melodic."""
    return bool(_GS_PART.match(payload) or _XG_PART.match(payload))


def looks_like_drums(name: str, pitches: Ints) -> bool:
    """Tell if a track is called a kit and plays one: kicks with snares or hats, and little else."""
    if not _NAME.search(name) or not np.isin(pitches, _ALL).all():
        return False
    kick, other = np.isin(_KICKS, pitches).any(), np.isin(_SNARES + _HATS, pitches).any()
    return bool(kick and other and np.isin(pitches, _CORE).mean() >= 0.8)

"""Bytes of a track chunk to raw MIDI events, read leniently, every repair noted; what a file holds before notes.

A message is one number, `status << 16 | first << 8 | second`, with its tick beside it; meta and system-exclusive
events have the number of their kind and a payload. Nothing here knows what a note is; `reader` and `check` do.
Source: The Complete MIDI 1.0 Detailed Specification, "Standard MIDI Files 1.0" (MIDI Manufacturers Association, 1996).
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from melody.errors import LimitExceeded

META, SYSEX, ESCAPE = 0xFF, 0xF0, 0xF7
END_OF_TRACK = 0x2F
TRACK_MARK, TRACK_END = b"MTrk", b"\xff\x2f\x00"
FALLBACK_DIVISION = 480
_SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # data bytes of system messages, which have no place in a file
_LONGEST_NUMBER = (1 << 28) - 1  # four bytes of seven bits
NO_EVENTS = bytes(24)  # eight note-offs of pitch 0 at once: zeros where music was, not music
_PLACES = 4  # of one kind of repair that are named


@dataclass(frozen=True)
class Limits:
    """Limits of a file; beyond them, `LimitExceeded`. A file at the limits takes a few seconds and some 200 MB."""

    file_bytes: int = 8 << 20
    ticks: int = (1 << 31) - 1  # symusic counts ticks in 32 bits
    tracks: int = 1024  # of the file, and of the score
    events: int = 500_000  # two a note
    payloads: int = 100_000  # meta and system events, which cost ten times as much, and chunks of other kinds
    text_characters: int = 1 << 16  # of one name, text, marker or lyric


class Repairs:
    """Defects that were mended or skipped: what each was and what was done, counted, with the first few places."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, sentence: str, place: str) -> None:
        """Note a repair; a place may quote the file."""
        place = place if place.isprintable() else ascii(place)[1:-1]
        self._counts[sentence] += 1
        places = self._places.setdefault(sentence, [])
        if len(places) < _PLACES:
            places.append(place)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def sentences(self) -> tuple[str, ...]:
        """One sentence a kind of repair, with its places."""
        return tuple(f"{sentence} ({self._where(sentence)})" for sentence in self._places)

    def _where(self, sentence: str) -> str:
        places, more = self._places[sentence], self._counts[sentence] - _PLACES
        return "; ".join(places) + (f"; and {more:,} more" if more > 0 else "")


@dataclass
class MidiTrack:
    """The events of one track chunk, in order."""

    ticks: "array[int]" = field(default_factory=lambda: array("q"))
    messages: "array[int]" = field(default_factory=lambda: array("I"))
    payloads: dict[int, bytes] = field(default_factory=dict)  # by index of the event
    end: int = 0  # tick of the end-of-track, or of the last event where there is none

    def append(self, tick: int, message: int, payload: bytes) -> None:
        """Add an event that has a payload."""
        self.payloads[len(self.ticks)] = payload
        self.ticks.append(tick)
        self.messages.append(message)

    def metas(self) -> Iterator[tuple[int, int, bytes]]:
        """(tick, type, payload) of the meta events."""
        for index, payload in self.payloads.items():
            if self.messages[index] >> 16 == META:
                yield self.ticks[index], self.messages[index] >> 8 & 0xFF, payload


@dataclass
class MidiFile:
    """A file's header and tracks as they came, and the repairs it took to read them."""

    name: str  # for messages
    limits: Limits
    kind: int = 1  # 0, 1 or 2
    division: int = FALLBACK_DIVISION  # ticks a quarter; for SMPTE the 16 bits as they stand
    announced: int | None = None  # tracks, by the header
    tracks: list[MidiTrack] = field(default_factory=list)
    repairs: Repairs = field(default_factory=Repairs)
    events: int = 0  # read so far
    payloads: int = 0

    def count(self, events: int, payloads: int = 0) -> None:
        """Note events that were read; raises `LimitExceeded` past the limit."""
        self.events += events
        self.payloads += payloads
        if self.events > self.limits.events:
            raise LimitExceeded(f"{self.name}: over {self.limits.events:,} events, all that melody reads; cut the file")
        if self.payloads > self.limits.payloads:
            raise LimitExceeded(
                f"{self.name}: over {self.limits.payloads:,} events that are texts, tempos and the like, "
                "all that melody reads; cut the file"
            )


def read_events(data: bytes, start: int, stop: int, file: MidiFile, *, trusted: bool) -> tuple[int, bool]:
    """Read events into the file's last track until its end-of-track event, `stop`, or damage.

    `stop` is where the chunk ends if its length is `trusted`; otherwise the next chunk's mark ends it too. Returns the
    byte after the last event and whether an end-of-track event was met.
    """
    track = file.tracks[-1]
    walk = _Walk(data, start, stop, trusted)
    _follow(walk, file)
    track.end = track.ticks[-1] if walk.broken and track.ticks else walk.tick
    place = _place(file)
    for sentence, count in walk.mended.items():
        file.repairs.add(sentence, f"{count:,} in {place}")
    if walk.broken:
        file.repairs.add(f"{walk.broken}; kept what came before", f"{place}, byte {walk.event:,}")
    elif not walk.ended:
        sentence = "no end-of-track event; closed the track after its last event"
        file.repairs.add(sentence, f"{place}, byte {walk.position:,}")
    return min(walk.position, stop), walk.ended


def is_sound(data: bytes, start: int, stop: int, file: MidiFile, status: int = 0) -> bool:
    """Tell if these bytes are events without any defect, up to an end-of-track event right before `stop`."""
    if data[max(start, stop - len(TRACK_END)) : stop] != TRACK_END:
        return False
    trial = MidiFile(file.name, file.limits, tracks=[MidiTrack()], events=file.events, payloads=file.payloads)
    walk = _Walk(data, start, stop, trusted=True, status=status, passes_ends=True)
    _follow(walk, trial)
    return walk.position == stop and not (walk.broken or walk.mended or trial.repairs)


@dataclass(slots=True)
class _Walk:
    """State of the reading of a track."""

    data: bytes
    position: int
    stop: int
    trusted: bool
    status: int = 0  # running status
    passes_ends: bool = False  # an end-of-track event does not end it
    event: int = 0  # byte at which the present event began
    tick: int = 0
    loose: bool = False  # a meta or system event stands between the running status and its next use
    mended: Counter[str] = field(default_factory=Counter)  # small defects
    no_run_before: int = 0
    zeros: int = -1  # byte from which there are zeros instead of events
    mark: int = -1  # byte at which the next chunk begins, or `stop`
    ended: bool = False
    broken: str = ""

    def look_ahead(self) -> None:
        """Find the next zeros and the next mark, from the present position on: payloads may hold either."""
        if self.zeros < self.position:
            found = self.data.find(NO_EVENTS, self.position, self.stop)
            self.zeros = self.stop if found < 0 else found
        if self.mark < self.position:
            found = -1 if self.trusted else self.data.find(TRACK_MARK, self.position, self.stop)
            self.mark = self.stop if found < 0 else found


class _Damage(Exception):
    """The events cannot be followed any further; the text says why and what is done."""


def _place(file: MidiFile) -> str:
    return f"track {len(file.tracks)}"


def _follow(walk: _Walk, file: MidiFile) -> None:
    """Read events until the track ends, or say in `walk.broken` why they cannot be followed."""
    try:
        while not walk.ended:
            walk.look_ahead()
            if walk.position >= walk.mark:
                break
            walk.event = walk.position
            if walk.position >= walk.zeros:
                raise _Damage("zeros instead of events")
            if walk.position < walk.no_run_before or not _read_run(walk, file):
                _read_event(walk, file)
                file.count(1)
    except IndexError:
        walk.broken = "the track stops inside an event"
    except _Damage as damage:
        walk.broken = f"{damage}; the rest of the track cannot be followed"


# Messages of two data bytes, the first with its status, others with it or without. Possessive: no way back is kept.
_RUN = re.compile(
    rb"[\x80-\xff]{0,3}+[\0-\x7f][\x80-\xbf\xe0-\xef][\0-\x7f]{2}"
    rb"(?:[\x80-\xff]{0,3}+[\0-\x7f][\x80-\xbf\xe0-\xef]?+[\0-\x7f]{2})*+"
)
_SHORTEST_RUN = 80  # bytes from which numpy is faster


def _read_run(walk: _Walk, file: MidiFile) -> bool:
    """Read a run of ordinary messages at once, if one begins here: notes, controls and bends with short deltas.

    Each such message has three bytes below 128: the end of its delta time and two data bytes. Those above 127 are the
    beginning of the delta time, before the first, and the status, between the first and the second.
    """
    run = _RUN.match(walk.data, walk.position, min(walk.zeros, walk.mark))
    walk.no_run_before = (run.end() if run else walk.position) + 1
    if run is None or run.end() - walk.position < _SHORTEST_RUN:
        return False
    octets = np.frombuffer(run[0], np.uint8).astype(np.int64)
    low = np.flatnonzero(octets < 0x80).reshape(-1, 3)
    delta = octets[low[:, 0]]
    more = np.ones(len(delta), np.bool_)
    for back in (1, 2, 3):  # before the first message these wrap round to the last data bytes, which are below 128
        higher = octets[low[:, 0] - back]
        more &= higher >= 0x80
        if not more.any():
            break
        delta += np.where(more, (higher & 0x7F) << 7 * back, 0)
    status = octets[low[:, 1] - 1]
    status = status[np.maximum.accumulate(np.where(status >= 0x80, np.arange(len(status)), 0))]
    ticks = walk.tick + np.cumsum(delta)
    messages = status << 16 | octets[low[:, 1]] << 8 | octets[low[:, 2]]
    file.count(len(low))
    track = file.tracks[-1]
    track.ticks.frombytes(ticks.tobytes())
    track.messages.frombytes(messages.astype(np.uint32).tobytes())
    walk.tick, walk.status, walk.position, walk.loose = int(ticks[-1]), int(status[-1]), run.end(), False
    return True


def _read_event(walk: _Walk, file: MidiFile) -> None:
    """Read one event of any kind, mending what can be mended."""
    data, track = walk.data, file.tracks[-1]
    delta, position = _number(walk, walk.position)
    tick = walk.tick + delta
    status = data[position]
    if status >= 0xF0:
        _read_system(walk, position + 1, tick, status, file)
        walk.tick, walk.loose = tick, True
        return
    if status >= 0x80:
        walk.status = status
        position += 1
    elif not walk.status:
        raise _Damage("data without a status byte")
    elif walk.loose:
        walk.mended["running status goes on across meta or system events; followed it"] += 1
    walk.loose = False
    first, second = data[position], 0
    if not 0xC0 <= walk.status < 0xE0:
        position += 1
        second = data[position]
    if position >= walk.mark:
        raise IndexError  # as at the end of the file
    if (first | second) & 0x80:
        walk.mended["data bytes above 127; read without their top bit"] += 1
    track.ticks.append(tick)
    track.messages.append(walk.status << 16 | (first & 0x7F) << 8 | second & 0x7F)
    walk.tick, walk.position = tick, position + 1


def _number(walk: _Walk, position: int) -> tuple[int, int]:
    """The variable-length number at `position`, and the byte after it."""
    number = 0
    for index in range(position, position + 8):
        byte = walk.data[index]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            if number > _LONGEST_NUMBER:
                break
            if index - position >= 4:
                walk.mended["a variable-length number of more than four bytes; read it, as its value is small"] += 1
            return number, index + 1
    raise _Damage("a variable-length number of more than four bytes")


def _read_system(walk: _Walk, position: int, tick: int, status: int, file: MidiFile) -> None:
    """Read a meta, system-exclusive or stray system event whose status stands before `position`."""
    file.count(0, payloads=1)
    if status not in (META, SYSEX, ESCAPE):
        sentence = "a system message that has no place in a file; left out"
        file.repairs.add(sentence, f"{_place(file)}, byte {position - 1:,}")
        walk.position = position + _SYSTEM_DATA.get(status, 0)
        return
    kind = 0
    if status == META:
        kind = walk.data[position]
        position += 1
    length, position = _number(walk, position)
    if position + length > walk.stop:
        if kind != END_OF_TRACK:
            raise _Damage("an event longer than its track")
        walk.mended["an end-of-track event with a length; it has none"] += 1
        length = 0
    walk.position = position + length
    if kind != END_OF_TRACK or not _goes_on(walk, file):
        file.tracks[-1].append(tick, status << 16 | kind << 8, walk.data[position : walk.position])
        walk.ended = kind == END_OF_TRACK


def _goes_on(walk: _Walk, file: MidiFile) -> bool:
    """Tell if an end-of-track event is none: events without a defect follow, up to one at the end of the chunk."""
    if walk.position >= walk.stop or not walk.trusted:
        return False
    if not walk.passes_ends:
        if not is_sound(walk.data, walk.position, walk.stop, file, walk.status):
            return False
        walk.passes_ends = True
        walk.mended["an end-of-track event inside the track; read on to the last one"] += 1
    return True

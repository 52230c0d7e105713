"""Bytes to raw MIDI events: chunks and messages of a Standard MIDI File, read leniently, every repair noted.

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

from melody.errors import LimitExceeded, UnreadableFile

META, SYSEX, ESCAPE = 0xFF, 0xF0, 0xF7
END_OF_TRACK = 0x2F
_SYSTEM_DATA = {
    0xF1: 1,
    0xF2: 2,
    0xF3: 1,
}  # data bytes of system messages, which have no place in a file; others have none
_LONGEST_DELTA = (1 << 28) - 1  # four bytes of seven bits
_FALLBACK_DIVISION = 480
_PLACES = 4  # of one kind of repair that are named


@dataclass(frozen=True)
class Limits:
    """What a file may hold; beyond it, `LimitExceeded`. A file at the limits takes a few seconds and some 200 MB."""

    file_bytes: int = 8 << 20
    ticks: int = (1 << 31) - 1  # symusic counts ticks in 32 bits
    tracks: int = 1024  # of the file, and of the score
    events: int = 500_000  # two a note
    text_characters: int = 1 << 16  # of one name, text, marker or lyric


class Repairs:
    """Defects that were mended or skipped: what each was and what was done, counted, with the first few places."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, sentence: str, place: str) -> None:
        """Note a repair."""
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
    division: int = _FALLBACK_DIVISION  # ticks a quarter; for SMPTE the 16 bits as they stand
    tracks: list[MidiTrack] = field(default_factory=list)
    repairs: Repairs = field(default_factory=Repairs)
    events: int = 0  # read so far

    def count(self, events: int) -> None:
        """Note events that were read; raises `LimitExceeded` past the limit."""
        self.events += events
        if self.events > self.limits.events:
            raise LimitExceeded(f"{self.name}: over {self.limits.events:,} events, all that melody reads; cut the file")


def scan(data: bytes, name: str, limits: Limits) -> MidiFile:
    """Read all events of a file. Raises `UnreadableFile` without a track chunk, `LimitExceeded` past `limits`."""
    if len(data) > limits.file_bytes:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads MIDI files up to {limits.file_bytes:,} bytes")
    file = MidiFile(name, limits)
    announced, position = _read_header(data, name, file)
    while (start := _next_chunk(data, position, file)) is not None:
        position = _read_track(data, start, file)
        if len(file.tracks) > limits.tracks:
            raise LimitExceeded(f"{name}: over {limits.tracks:,} tracks, all that melody reads; leave the others out")
        if file.tracks[-1].end > limits.ticks:
            raise LimitExceeded(
                f"{name}: track {len(file.tracks)} reaches tick {file.tracks[-1].end:,}; "
                f"melody reads up to {limits.ticks:,}; remove the event that lies far away"
            )
    if not file.tracks:
        raise UnreadableFile(f"{name}: a MIDI header without a track; the file is cut off or damaged, export it again")
    if announced is not None and announced != len(file.tracks):
        file.repairs.add(
            f"the header announces {announced:,} tracks; read the {len(file.tracks):,} that are there", "header"
        )
    return file


def _read_header(data: bytes, name: str, file: MidiFile) -> tuple[int | None, int]:
    """Fill in kind and division; return the announced number of tracks and the byte after the header."""
    header, first_track = data.find(b"MThd"), data.find(b"MTrk")
    if header < 0 or (0 <= first_track < header):
        return _read_lost_header(data, name, file, first_track)
    if header:
        _note_wrapper(data, header, file)
    length = int.from_bytes(data[header + 4 : header + 8], "big")
    if len(data) < header + 14:
        raise UnreadableFile(f"{name}: the file ends inside its MIDI header; export it again")
    stop = header + 8 + length
    if length < 6 or (data[stop : stop + 4] != b"MTrk" and not _is_chunk(data, stop)):
        file.repairs.add(
            f"the header's length is given as {length:,}; went on at the next track", f"byte {header + 4:,}"
        )
        stop = header + 14
    announced = _read_fields(data[header + 8 : header + 14], file)
    return announced, stop


def _note_wrapper(data: bytes, header: int, file: MidiFile) -> None:
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        file.repairs.add("a RIFF wrapper around the MIDI file; unwrapped", "byte 0")
    else:
        file.repairs.add(f"{header:,} bytes before the MIDI header; left out", "byte 0")


def _read_lost_header(data: bytes, name: str, file: MidiFile, first_track: int) -> tuple[int | None, int]:
    if first_track < 0:
        raise UnreadableFile(f"{name}: no MIDI file (it has neither a header nor a track)")
    if first_track >= 10 and data[first_track - 10 : first_track - 6] == b"\x00\x00\x00\x06":
        file.repairs.add("the header's mark MThd is damaged; read it all the same", "header")
        return _read_fields(data[first_track - 6 : first_track], file), first_track
    file.repairs.add(f"no header; took {_FALLBACK_DIVISION} ticks a quarter", "header")
    return None, first_track


def _read_fields(fields: bytes, file: MidiFile) -> int:
    file.kind, announced, file.division = (int.from_bytes(fields[i : i + 2], "big") for i in (0, 2, 4))
    return announced


def _is_chunk(data: bytes, position: int) -> bool:
    """Whether a chunk of another kind stands here: four letters or digits and a length that fits."""
    head = data[position : position + 4]
    length = int.from_bytes(data[position + 4 : position + 8], "big")
    return len(head) == 4 and head.isalnum() and head.isascii() and position + 8 + length <= len(data)


def _next_chunk(data: bytes, position: int, file: MidiFile) -> int | None:
    """The byte at which the next track chunk starts, past foreign chunks (legal) and garbage (noted)."""
    while position < len(data):
        if data[position : position + 4] == b"MTrk":
            return position
        if _is_chunk(data, position):
            position += 8 + int.from_bytes(data[position + 4 : position + 8], "big")
            continue
        found = data.find(b"MTrk", position)
        where = "after the last track" if found < 0 else "between tracks"
        count = (len(data) if found < 0 else found) - position
        if count > 1 or data[position]:  # a single zero pads to an even length
            file.repairs.add(f"bytes {where} that are no music; left out", f"{count:,} from byte {position:,}")
        return None if found < 0 else found
    return None


def _read_track(data: bytes, chunk: int, file: MidiFile) -> int:
    """Read the chunk at byte `chunk`; return the byte at which to look for the next."""
    start = chunk + 8
    declared = start + int.from_bytes(data[chunk + 4 : start], "big")
    lands = declared == len(data) or data[declared : declared + 4] == b"MTrk" or _is_chunk(data, declared)
    next_track = data.find(b"MTrk", start)
    file.tracks.append(MidiTrack())
    place = f"track {len(file.tracks)}, byte {chunk + 4:,}"
    if lands:
        position, ended = _read_events(data, start, declared, file)
        if not ended or position == declared:
            return declared
        if data[position : position + 4] == b"MTrk":
            file.repairs.add("the chunk's length reaches over the next track; went on where this one ends", place)
            return position
        file.repairs.add(
            "bytes after an end-of-track event; left out", f"{declared - position:,} from byte {position:,}"
        )
        return declared
    stop = len(data) if next_track < 0 else next_track
    position, ended = _read_events(data, start, stop, file)
    if ended and position == declared:
        return position
    if declared > len(data) and next_track < 0 and not ended:
        file.repairs.add("the file is cut off inside a track; kept what is there", place)
    else:
        file.repairs.add("the chunk's length is wrong; read to the end-of-track event", place)
    return position if ended else stop


class _Damage(Exception):
    """The events cannot be followed any further; the text says why and what is done."""


def _read_events(data: bytes, start: int, stop: int, file: MidiFile) -> tuple[int, bool]:
    """Read events into the last track until its end-of-track event, `stop`, or damage.

    Returns the byte after the last event and whether the end-of-track event was met.
    """
    track = file.tracks[-1]
    walk = _Walk(data, start, stop)
    try:
        while walk.position < stop and not walk.ended:
            if walk.position < walk.no_run_before or not _read_run(walk, file):
                _read_event(walk, file)
                file.count(1)
    except IndexError:
        walk.broken = "the track stops inside an event"
    except _Damage as damage:
        walk.broken = f"{damage}; the rest of the track cannot be followed"
    track.end = track.ticks[-1] if walk.broken and track.ticks else walk.tick
    if walk.above:
        file.repairs.add("data bytes above 127; read without their top bit", f"{walk.above:,} in {_place(file)}")
    if walk.loosely:
        sentence = "running status goes on across meta or system events; followed it"
        file.repairs.add(sentence, f"{walk.loosely:,} in {_place(file)}")
    if walk.broken:
        file.repairs.add(f"{walk.broken}; kept what came before", f"{_place(file)}, byte {walk.event:,}")
    elif not walk.ended:
        file.repairs.add(
            "no end-of-track event; closed the track after its last event", f"{_place(file)}, byte {stop:,}"
        )
    return min(walk.position, stop), walk.ended


@dataclass(slots=True)
class _Walk:
    """Where the reading of a track stands."""

    data: bytes
    position: int
    stop: int
    event: int = 0  # byte at which the present event began
    tick: int = 0
    status: int = 0  # running status
    loose: bool = False  # a meta or system event stands between the running status and its next use
    loosely: int = 0  # how often that was
    above: int = 0  # data bytes with the top bit set
    no_run_before: int = 0
    ended: bool = False
    broken: str = ""


def _place(file: MidiFile) -> str:
    return f"track {len(file.tracks)}"


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
    run = _RUN.match(walk.data, walk.position, walk.stop)
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
    walk.event = walk.position
    delta, position = read_number(data, walk.position)
    tick = walk.tick + delta
    status = data[position]
    if status >= 0xF0:
        walk.position = _read_system(data, position + 1, walk.stop, tick, status, file)
        walk.tick, walk.loose = tick, True
        walk.ended = status == META and track.messages[-1] >> 8 & 0xFF == END_OF_TRACK
        return
    if status >= 0x80:
        walk.status = status
        position += 1
    elif not walk.status:
        raise _Damage("data without a status byte")
    walk.loosely += status < 0x80 and walk.loose
    walk.loose = False
    first, second = data[position], 0
    if not 0xC0 <= walk.status < 0xE0:
        position += 1
        second = data[position]
    if position >= walk.stop:
        raise IndexError  # as at the end of the file
    if (first | second) & 0x80:
        walk.above += 1
    track.ticks.append(tick)
    track.messages.append(walk.status << 16 | (first & 0x7F) << 8 | second & 0x7F)
    walk.tick, walk.position = tick, position + 1


def read_number(data: bytes, position: int) -> tuple[int, int]:
    """The variable-length number at `position`, and the byte after it; raises `_Damage` past four bytes' worth."""
    number = 0
    for index in range(position, position + 8):
        byte = data[index]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            if number > _LONGEST_DELTA:
                break
            return number, index + 1
    raise _Damage("a variable-length number of more than four bytes")


def _read_system(data: bytes, position: int, stop: int, tick: int, status: int, file: MidiFile) -> int:
    """Read a meta, system-exclusive or stray system event whose status has been read; return the byte after it."""
    if status not in (META, SYSEX, ESCAPE):
        file.repairs.add(
            "a system message that has no place in a file; left out", f"{_place(file)}, byte {position - 1:,}"
        )
        return position + _SYSTEM_DATA.get(status, 0)
    kind = 0
    if status == META:
        kind = data[position]
        position += 1
    length, position = read_number(data, position)
    if position + length > stop:
        if kind == END_OF_TRACK:  # its length can only be zero
            length = 0
        else:
            raise _Damage("an event longer than its track")
    file.tracks[-1].append(tick, status << 16 | kind << 8, data[position : position + length])
    return position + length

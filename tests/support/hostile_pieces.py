"""Honest MIDI pieces laid out byte by byte, and what a hostile file made of one may still hold."""

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from support.midi_files import EOT, header, number

TEMPO = 600_000  # microseconds a quarter
NoteKey = tuple[int, int, int]  # onset, duration (ticks), pitch


@dataclass(frozen=True)
class Case:
    """A file and what is right to make of it. Without `says` nothing needs mending."""

    name: str
    data: bytes
    surely: tuple[NoteKey, ...] | None = ()  # None: not judged
    perhaps: tuple[NoteKey, ...] = ()
    says: str = ""
    tempos: tuple[tuple[int, int], ...] | None = ((0, TEMPO),)  # (tick, microseconds a quarter); None: not judged
    seconds_per_tick: float | None = None
    suffix: str = ".mid"


class Laid(NamedTuple):
    """A note with the bytes of the file after its note-on and after its note-off."""

    key: NoteKey
    began: int
    ended: int
    track: int


@dataclass(frozen=True)
class Piece:
    """A sound file, where its notes and its track chunks lie."""

    data: bytes
    notes: tuple[Laid, ...]
    chunks: tuple[int, ...]  # first byte of each track chunk

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        return tuple(note.key for note in self.notes)

    def end(self, track: int) -> int:
        """The byte after a track chunk."""
        return (*self.chunks, len(self.data))[track + 1]

    def body(self, track: int) -> bytes:
        return self.data[self.chunks[track] + 8 : self.end(track)]


class Event(NamedTuple):
    """A message with its tick; notes name the note that they begin or end."""

    tick: int
    message: bytes
    note: int = -1
    begins: bool = False


def line(seed: int, channel: int, count: int, first_pitch: int) -> tuple[list[Event], list[NoteKey]]:
    """A line of notes and some chords; pitches repeat only where the first has ended."""
    generator = random.Random(seed)
    events, keys, tick = [], [], 0
    for index in range(count):
        duration = generator.choice((60, 120, 180, 240, 480))
        pitch = first_pitch + index % 12
        keys.append((tick, duration, pitch))
        events.append(Event(tick, bytes([0x90 | channel, pitch, generator.randint(30, 120)]), index, True))
        events.append(Event(tick + duration, bytes([0x80 | channel, pitch, 64]), index))
        tick += generator.choice((0, duration, duration + 60))
    return sorted(events, key=lambda event: (event.tick, event.begins)), keys


def lay(tracks: Iterable[tuple[list[Event], list[NoteKey]]], kind: int, running: bool = False) -> Piece:
    """A file of these tracks."""
    tracks = list(tracks)
    data, notes, chunks = header(len(tracks), kind), [], []
    for index, (events, keys) in enumerate(tracks):
        chunks.append(len(data))
        body, now, status, bounds = b"", 0, 0, {}
        for event in events:
            first = event.message[0]
            body += number(event.tick - now) + event.message[running and first == status and first < 0xF0 :]
            now, status = event.tick, first
            if event.note >= 0:
                bounds.setdefault(event.note, []).append(len(data) + 8 + len(body))
        notes += [Laid(key, *bounds[note], index) for note, key in enumerate(keys)]
        body += EOT
        data += b"MTrk" + struct.pack(">I", len(body)) + body
    return Piece(data, tuple(notes), tuple(chunks))


def said(*payloads: tuple[int, bytes]) -> list[Event]:
    return [Event(0, bytes([0xFF, kind]) + number(len(payload)) + payload) for kind, payload in payloads]


CONDUCTOR = said((3, b"Air"), (0x51, TEMPO.to_bytes(3, "big")), (0x58, b"\3\2\x18\x08"), (0x59, b"\1\0"))


def _part(seed: int, channel: int, count: int, pitch: int, name: bytes) -> tuple[list[Event], list[NoteKey]]:
    events, keys = line(seed, channel, count, pitch)
    return [*said((3, name)), Event(0, bytes([0xC0 | channel, 40])), *events], keys


DUO = lay([(CONDUCTOR, []), _part(1, 0, 14, 60, b"Upper"), _part(2, 1, 12, 40, b"Lower")], 1)
_SOLO_EVENTS, _SOLO_KEYS = line(3, 2, 24, 55)
SOLO = lay([(CONDUCTOR + _SOLO_EVENTS, _SOLO_KEYS)], 0, running=True)
_SUNG, _SUNG_KEYS = line(4, 0, 10, 62)
_SUNG += [Event(tick, b"\xff\5\2la") for tick, _, _ in _SUNG_KEYS[::2]]
_SUNG += [Event(120, b"\xf0\5\x7e\x7f\x09\1\xf7"), Event(300, b"\xb0\x07\x50"), Event(480, b"\xe0\0\x50")]
BAND = lay(
    [
        (CONDUCTOR, []),
        (sorted(_SUNG, key=lambda event: (event.tick, event.begins)), _SUNG_KEYS),
        _part(5, 9, 16, 36, b"Drums"),
        _part(6, 3, 8, 48, b"Bass"),
    ],
    1,
    running=True,
)
PIECES = {"duo": DUO, "solo": SOLO, "band": BAND}


def noise(seed: int, count: int) -> bytes:
    return bytes(random.Random(seed).choices(range(0x80, 0x100), k=count))


def song(*bodies: bytes, name: str, says: str, surely: Iterable[NoteKey], perhaps: Iterable[NoteKey] = ()) -> Case:
    conductor = DUO.body(0)
    data = header(1 + len(bodies))
    for body in (conductor, *(body + EOT for body in bodies)):
        data += b"MTrk" + struct.pack(">I", len(body)) + body
    return Case(name, data, tuple(surely), tuple(perhaps), says)


def on(delta: int, pitch: int, velocity: int = 80) -> bytes:
    return number(delta) + bytes([0x90, pitch, velocity])


def off(delta: int, pitch: int) -> bytes:
    return number(delta) + bytes([0x80, pitch, 0])


PAIR = on(0, 60) + off(96, 60) + on(0, 62) + off(96, 62)
PAIR_KEYS = ((0, 96, 60), (96, 96, 62))

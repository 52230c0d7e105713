"""Odd but sound MIDI files, one for each number: what real primers bring, several oddities in each.

Resolutions, types 0 to 2, running status, unisons and overlaps, pickups and changing meters, late maps, bends with a
range, held pedals, fades, aftertouch, MPE, banks, system-exclusive messages, drums on other channels, texts in several
encodings, foreign labels, tracks without notes, more tracks than channels, and events behind the last note.
"""

import random
import struct
from collections.abc import Callable
from fractions import Fraction

from support.midi_files import meta, number

TPQS = (24, 25, 48, 96, 100, 120, 192, 220, 240, 384, 480, 480, 480, 960, 960, 1000, 1001, 1024, 1920, 5000, 15360)
METERS = ((4, 2), (4, 2), (4, 2), (3, 2), (2, 2), (6, 3), (12, 3), (5, 2), (7, 3), (2, 1))  # as MIDI has them
LENGTHS = tuple(Fraction(p) for p in ("1/4", "1/2", "1/2", "1", "1", "3/2", "2", "1/3", "2/3", "3/4", "1/8"))
SCALE = (0, 2, 4, 5, 7, 9, 11)
KIT = (36, 42, 38, 42, 36, 46, 38, 49)
XG_ON, GS_RESET = "43 10 4C 00 00 7E 00 F7", "41 10 42 12 40 00 7F 00 41 F7"
SYSEX = ("7E 7F 09 01 F7", "7F 7F 04 01 00 70 F7", GS_RESET, XG_ON, "7D 01 02 F7")
NAMES = ("Lead", "Piano (left)", "Größe", "歌", "Песня", "Bass  ", "", "Part 1", "Strings and a name that is long")
WORDS = (
    ("utf-8", "Grüße, 歌"),
    ("latin-1", "für Zoë"),
    ("cp1251", "Слова и музыка"),
    ("cp932", "さくら"),
    ("utf-16-le", "Lied"),
)

Event = tuple[int, int, bytes]  # tick, order at equal ticks, message
Part = list[Event]


class _Primer:
    """A file in the making: parts of events, and the dice."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.tpq = self.dice.choice(TPQS)
        self.conductor: Part = []
        self.parts: list[Part] = []
        self.end = 0  # of the last note

    def ticks(self, quarters: Fraction | float) -> int:
        return round(quarters * self.tpq)

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def tick(self) -> int:
        """Any tick while notes sound."""
        return self.dice.randrange(max(1, self.end))


def odd_primer(seed: int) -> bytes:
    """The bytes of a file with notes; the same seed makes the same file."""
    primer = _Primer(seed)
    _maps(primer)
    many = primer.chance(0.06)
    for place in range(primer.dice.randrange(17, 40) if many else primer.dice.randint(1, 5)):
        _track(primer, place)
    oddities: list[tuple[float, Callable[[_Primer], None]]] = [
        (0.4, _sysex), (0.5, _texts), (0.3, _quiet_tracks), (0.25, _settings_of_silent_channels), (0.3, _behind),
        (0.2, _late_maps), (0.1, _mpe), (0.1, _moved_drums),
    ]  # fmt: skip
    for share, add in oddities:
        if primer.chance(share):
            add(primer)
    return _file(primer)


# ---- music -----------------------------------------------------------------------------------------------------------


def _maps(primer: _Primer) -> None:
    dice = primer.dice
    now = 0
    if primer.chance(0.3):  # a pickup
        primer.conductor.append((0, 0, meta(0x58, b"\x01\x02\x18\x08")[1:]))
        now = primer.tpq
    for _ in range(dice.randint(0, 2)):
        numerator, power = dice.choice(METERS)
        primer.conductor.append((now, 0, meta(0x58, bytes([numerator, power, 24, 8]))[1:]))
        now += dice.randint(1, 2) * numerator * primer.tpq * 4 // 2**power
    for tick in {0, *(dice.randrange(1, 8 * primer.tpq) for _ in range(dice.randint(0, 2)))}:
        primer.conductor.append((tick, 0, meta(0x51, dice.randint(300_000, 1_200_000).to_bytes(3, "big"))[1:]))
    if primer.chance(0.5):
        primer.conductor.append((0, 0, meta(0x59, struct.pack("bB", dice.randint(-5, 5), dice.randint(0, 1)))[1:]))


def _track(primer: _Primer, place: int) -> None:
    """A tune, chords, a bass or drums with what a player does to them."""
    dice, part = primer.dice, Part()
    drums = primer.chance(0.15) and place > 0
    channel = 9 if drums else [c for c in range(16) if c != 9][place % 15]
    if name := dice.choice(NAMES):
        part.append((0, -2, meta(3, name.encode(dice.choice(("utf-8", "utf-8", "utf-16"))))[1:]))
    if primer.chance(0.7):
        part.append((0, -1, bytes([0xC0 | channel, dice.randrange(128)])))
    start, stop = primer.end, _notes(primer, part, channel, drums)
    span = (min(start, stop), stop)
    for share, add in ((0.3, _bend), (0.3, _pedal), (0.25, _fade), (0.2, _pressure), (0.4, _controls)):
        if primer.chance(share):
            add(primer, part, channel, span[1])
    primer.parts.append(part)
    primer.end = max(primer.end, stop)


def _notes(primer: _Primer, part: Part, channel: int, drums: bool) -> int:
    """Some bars of notes; the tick at which the last one ends."""
    dice = primer.dice
    voices = dice.choice((1, 1, 2, 3))
    loose = primer.chance(0.3)  # as played
    long = dice.choice((1, 1, 1, Fraction(5, 4)))  # of notes: over 1 they overlap
    now, last, sounding = Fraction(0), 0, dict[int, int]()
    degree = dice.randrange(7)
    while now < dice.randint(10, 18):
        length = dice.choice(LENGTHS)
        degree += dice.choice((-2, -1, -1, 0, 1, 1, 2))
        for voice in range(voices):
            octave, step = divmod(degree + 2 * voice, 7)
            pitch = dice.choice(KIT) if drums else 48 + 12 * (octave % 3) + SCALE[step]
            onset = max(0, primer.ticks(now) + (dice.randint(-primer.tpq // 20, primer.tpq // 20) if loose else 0))
            end = max(onset + 1, primer.ticks(now + length * long))
            if end <= sounding.get(pitch, 0):
                continue  # within another of its pitch: no reader of files could tell which ends first
            sounding[pitch] = end
            velocity = dice.randint(20, 120)
            for _ in range(2 if primer.chance(0.1) else 1):  # now and then in unison
                part.append((onset, 2, bytes([0x90 | channel, pitch, velocity])))
                off = bytes([0x80 | channel, pitch, 64]) if primer.chance(0.5) else bytes([0x90 | channel, pitch, 0])
                part.append((end, 1, off))
            last = max(last, end)
        now += length
    return last


# ---- what acts on them -----------------------------------------------------------------------------------------------


def _control(channel: int, number_: int, value: int) -> bytes:
    return bytes([0xB0 | channel, number_, value])


def _bend(primer: _Primer, part: Part, channel: int, end: int) -> None:
    dice = primer.dice
    if primer.chance(0.5):
        part += [(0, 0, _control(channel, n, v)) for n, v in ((101, 0), (100, 0), (6, 12), (38, 0))]
    for _ in range(dice.randint(1, 9)):
        part.append((dice.randrange(end), 3, bytes([0xE0 | channel, dice.randrange(128), dice.randrange(128)])))
    if primer.chance(0.5):
        part.append((end, 3, bytes([0xE0 | channel, 0, 64])))


def _pedal(primer: _Primer, part: Part, channel: int, end: int) -> None:
    pedal = primer.dice.choice((64, 64, 64, 66, 69))
    for _ in range(primer.dice.randint(1, 6)):
        part.append((primer.dice.randrange(end), 3, _control(channel, pedal, primer.dice.choice((0, 64, 127)))))


def _fade(primer: _Primer, part: Part, channel: int, end: int) -> None:
    lowest = primer.dice.randint(1, 40)
    for step in range(33):
        tick = end - (32 - step) * end // 100
        part.append((tick, 3, _control(channel, primer.dice.choice((7, 11)), 127 - (127 - lowest) * step // 32)))


def _pressure(primer: _Primer, part: Part, channel: int, end: int) -> None:
    dice = primer.dice
    for _ in range(dice.randint(1, 12)):
        tick, value = dice.randrange(end), dice.randrange(128)
        touch = bytes([0xA0 | channel, dice.randint(48, 80), value])
        part.append((tick, 3, bytes([0xD0 | channel, value]) if primer.chance(0.5) else touch))


def _controls(primer: _Primer, part: Part, channel: int, end: int) -> None:
    dice = primer.dice
    for _ in range(dice.randint(1, 10)):
        controller = dice.choice((0, 1, 2, 5, 10, 32, 71, 74, 91, 93, 98, 99))
        part.append((dice.randrange(end), 3, _control(channel, controller, dice.randint(1, 127))))


# ---- what stands beside ----------------------------------------------------------------------------------------------


def _sysex(primer: _Primer) -> None:
    for text in primer.dice.sample(SYSEX, 2):
        payload = bytes.fromhex(text)
        home = primer.dice.choice([primer.conductor, *primer.parts])
        home.append((primer.dice.choice((0, primer.tick())), 0, b"\xf0" + number(len(payload)) + payload))


def _texts(primer: _Primer) -> None:
    dice = primer.dice
    encoding, words = dice.choice(WORDS)
    mark = b"\xff\xfe" if encoding.startswith("utf-16") else b""
    for syllable in (words, words[:2], words[-2:]):
        home, kind = dice.choice(primer.parts), dice.choice((1, 5, 5, 6, 7))
        home.append((primer.tick(), 0, meta(kind, mark + syllable.encode(encoding))[1:]))
    primer.conductor.append((0, 0, meta(2, "© 2026 Jane".encode(dice.choice(("utf-8", "latin-1"))))[1:]))
    for kind, payload in ((4, b"Violin"), (8, b"prog"), (9, b"port"), (0x7F, b"\0\1\2"), (0x54, b"\x60\0\0\0\0")):
        if primer.chance(0.5):
            home = primer.conductor if kind == 0x54 else dice.choice([primer.conductor, *primer.parts])
            home.append((0, 0, meta(kind, payload)[1:]))


def _quiet_tracks(primer: _Primer) -> None:
    for name in primer.dice.sample(("by Jane", "(muted)", "Empty", ""), 2):
        place = primer.dice.randint(0, len(primer.parts))
        primer.parts.insert(place, [(0, -2, meta(3, name.encode())[1:])] if name else [])


def _settings_of_silent_channels(primer: _Primer) -> None:
    home = primer.dice.choice([primer.conductor, *primer.parts])
    for channel in range(16):
        home += [
            (0, 0, _control(channel, 7, 90)),
            (0, 0, _control(channel, 10, 50)),
            (0, 0, bytes([0xC0 | channel, 5])),
        ]


def _behind(primer: _Primer) -> None:
    """Events behind the last note, on whichever channels."""
    dice = primer.dice
    for part in dice.sample(primer.parts, 1):
        channel = dice.randrange(9)
        tick = primer.end + dice.randint(1, 6 * primer.tpq)
        part += [(tick, 3, _control(channel, 7, 0)), (tick, 3, bytes([0xE0 | channel, 0, 20]))]
        part.append((tick, 3, _control(channel, 64, 127)))


def _late_maps(primer: _Primer) -> None:
    tick = primer.end + primer.dice.randint(0, 6 * primer.tpq)
    primer.conductor += [
        (tick, 0, meta(0x58, b"\x03\x02\x18\x08")[1:]),
        (tick, 0, meta(0x51, b"\x0a\x2c\x2a")[1:]),
        (tick, 0, meta(0x59, b"\x02\x00")[1:]),
        (tick, 0, meta(6, b"Coda")[1:]),
    ]


def _mpe(primer: _Primer) -> None:
    """A part whose notes each have a channel, with bend, timbre and pressure of their own."""
    part: Part = [(0, 0, _control(0, n, v)) for n, v in ((101, 0), (100, 6), (6, 15))]
    for place in range(16):
        tick, channel = primer.ticks(place), 1 + place % 5
        part += [
            (tick, 1, bytes([0xE0 | channel, 0, 60 + place % 8])),
            (tick, 1, _control(channel, 74, 40 + place)),
            (tick, 2, bytes([0x90 | channel, 60 + place % 8, 80])),
            (tick + primer.tpq // 2, 3, bytes([0xD0 | channel, 70])),
            (tick + primer.tpq, 1, bytes([0x80 | channel, 60 + place % 8, 0])),
        ]
    primer.parts = [part]
    primer.end = primer.ticks(16)


def _moved_drums(primer: _Primer) -> None:
    """Drums on channel 12 by an XG bank."""
    payload = bytes.fromhex(XG_ON)
    primer.conductor.append((0, -1, b"\xf0" + number(len(payload)) + payload))
    part: Part = [(0, -2, meta(3, b"Kit")[1:]), (0, -1, _control(11, 0, 127)), (0, 0, b"\xcb\x00")]
    for place in range(24):
        tick, pitch = primer.ticks(Fraction(place, 2)), KIT[place % 8]
        part += [(tick, 2, bytes([0x9B, pitch, 90])), (tick + primer.tpq // 4, 1, bytes([0x8B, pitch, 0]))]
    primer.parts = [part, *([p for p in primer.parts if not _plays(p, 11)][:2])]
    primer.end = max(primer.end, primer.ticks(12))


def _plays(part: Part, channel: int) -> bool:
    return any(message[0] < 0xF0 and message[0] & 0xF == channel for _, _, message in part)


# ---- bytes -----------------------------------------------------------------------------------------------------------


def _file(primer: _Primer) -> bytes:
    kind = primer.dice.choice((0, 1, 1, 1, 1, 2))
    tracks = [primer.conductor, *primer.parts]
    if primer.chance(0.2):  # no conductor
        tracks = [[*primer.conductor, *primer.parts[0]], *primer.parts[1:]]
    if kind == 0:
        tracks = [[event for track in tracks for event in track if event[2][:2] != b"\xff\x03"]]
    header = b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), primer.tpq)
    return header + b"".join(_chunk(track, running=primer.chance(0.5)) for track in tracks)


def _chunk(events: Part, running: bool) -> bytes:
    body, now, status = b"", 0, 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        body += number(tick - now)
        now = tick
        if message[0] >= 0xF0:
            status = 0
        body += message[1:] if running and message[0] == status else message
        status = message[0] if message[0] < 0xF0 else 0
    body += b"\0\xff\x2f\0"
    return b"MTrk" + struct.pack(">I", len(body)) + body

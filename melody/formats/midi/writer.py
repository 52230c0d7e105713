"""A score to the bytes of a MIDI file that every DAW, sequencer and notation program opens as meant.

The rules (`check` lints any file by them): type 1, 480 ticks a quarter or a multiple in which every time of the score
stands exactly. A conductor track without notes carries title,
tempos, meters, keys, markers and texts; keys stand again in every pitched track, as MuseScore reads them only there.
One channel a track, its own where it had one, drums on channel 10; from the 16th pitched track on channels repeat, on
another port (`cautions` says so). A program change before the first note. Track names are unique and ASCII; a name
that had to change stays in an event for programs alone (MuseScore prints a plain text in a track as a lyric). Every
track ends on the final bar line. No note is without length, and at equal ticks note-offs come first, note-ons last.
Notes of one pitch that sound together are all there; a note-off ends the one that began first, as every reader of
files has it. Equal scores make equal bytes.
"""

import os
import struct
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, cycle
from pathlib import Path

import numpy as np
from symusic import Track
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded
from melody.formats.midi.beside import CONDUCTOR, NOTHING, Beside
from melody.formats.midi.metas import (
    COPYRIGHT,
    KEY_SIGNATURE,
    LYRIC,
    MARKER,
    OWN_ID,
    PORT,
    SEQUENCER,
    SET_TEMPO,
    TEXT,
    TIME_SIGNATURE,
    TRACK_NAME,
    Text,
    meta_message,
    number_bytes,
)
from melody.formats.midi.parts import BEND_CENTRE, CONTROL, POLY_PRESSURE, PRESSURE, PROGRAM
from melody.formats.midi.texts import KEPT_COPYRIGHT, ascii_name, keep_name
from melody.music.general_midi import DRUM_CHANNEL, default_name
from melody.music.score import (
    bars,
    common_resolution,
    meters,
    notes_of,
    resample,
    rescale,
    shift_signature,
)
from melody.storage.files import write_bytes

_END_OF_TRACK = b"\xff\x2f\x00"
_PITCHED_CHANNELS = [channel for channel in range(16) if channel != DRUM_CHANNEL]
_BANK_SELECT = (0, 32)
_LONGEST_DELTA = (1 << 28) - 1
_SUSTAIN = 64
# Order at equal ticks. The name stands first of all; note-offs before whatever else may change the sound.
_NAME, _OFF, _META, _BANK, _PROGRAM, _CONTROL, _ON, _TOUCH = range(8)

Event = tuple[int, int, bytes]  # tick, order at equal ticks, message
Spelt = Mapping[tuple[int, str], bytes]  # bytes of texts that are not UTF-8, by kind and text


def write_midi(
    score: Score,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    texts: Sequence[str | Text] = (),
    own_channels: Sequence[int] = (),
    others: Beside = NOTHING,
    force: bool = False,
) -> Path:
    """Write a score as a MIDI file, atomically, with what `dumps` takes; return the path.

    Raises `MelodyError` where the file exists (unless `force`) or cannot be written, `LimitExceeded` as `dumps`.
    """
    data = dumps(score, title=title, texts=texts, own_channels=own_channels, others=others)
    return write_bytes(path, data, force=force)


def dumps(
    score: Score,
    *,
    title: str = "",
    texts: Sequence[str | Text] = (),
    own_channels: Sequence[int] = (),
    others: Beside = NOTHING,
) -> bytes:
    """The bytes of a MIDI file; `texts` go to the conductor track, those without a tick of their own at its start.

    `own_channels` (from 0) are those that its tracks, from the first on, keep where they can, see `channels`. `others`
    is what a file held beside its score, whose tracks are the first ones of this score.

    Raises `LimitExceeded` for what MIDI cannot say: a meter over 255 or of no power of two, a tempo under 3.58 qpm,
    an event before tick 0, more bars than `melody.music.score.MAX_BARS`.
    """
    ticked = [Text(0, text) if isinstance(text, str) else text for text in texts]
    tpq = common_resolution(score.tpq)
    ticked = [text._replace(tick=rescale(text.tick, score.tpq, tpq)) for text in ticked]
    score = resample(score, tpq)
    keys = _keys(score)
    names = track_names(score.tracks, others.silent)
    beside = _Beside(others, tpq)
    tracks = [_conductor(score, title, ticked, keys, others.spelt) + beside.events(CONDUCTOR)]
    on = channels(score.tracks, own_channels, beside.silent_channels)
    for number, (track, channel, port) in enumerate(zip(score.tracks, on, _ports(on), strict=True)):
        own = beside.track(number, channel) if number < others.tracks else []
        tracks.append(port + _track(track, names[number], channel, [] if track.is_drum else keys, others.spelt) + own)
    for number, name in enumerate(others.silent):
        tracks.append(_names(name, names[len(on) + number]) + beside.track(others.tracks + number))
    end = int(bars(score, max((event[0] for events in tracks for event in events), default=0))[-1])
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), tpq)
    return header + b"".join(_chunk(events, end) for events in tracks)


def cautions(score: Score, texts: Sequence[Text] = ()) -> list[str]:
    """Return what some programs show otherwise than it is meant, in sentences; `texts` are those of the piece."""
    found = []
    pitched = sum(not track.is_drum for track in score.tracks)
    if pitched > len(_PITCHED_CHANNELS):
        found.append(
            f"{pitched} pitched tracks share {len(_PITCHED_CHANNELS)} MIDI channels; "
            "in programs that play by channel, give the later tracks instruments of their own"
        )
    if (drums := len(score.tracks) - pitched) > 1:
        found.append(
            f"{drums} drum tracks share channel 10, as General MIDI has it: LMMS shows one; volume, pan and "
            "bends of one act on all"
        )
    names = [track.name for track in score.tracks if not track.name.isascii()]
    if names:
        some = "another name" if len(names) == 1 else f"{len(names)} other names"
        found.append(f"{some} in plain ASCII, as programs disagree about other letters; the own ones are kept beside")
    if any(map(_plain_copyright, texts)):
        found.append("the copyright notice in plain ASCII, as Rosegarden stops at other letters; they are kept beside")
    return found


def channels(tracks: Sequence[Track], wanted: Sequence[int] = (), taken: Collection[int] = ()) -> list[int]:
    """The channel (from 0) of each track: drums all on 9, others on the one `wanted`.

    Where none is, or a track before has it, they take those that are left in turn, `taken` ones only once none is.
    """
    result = [DRUM_CHANNEL if track.is_drum else -1 for track in tracks]
    for number, channel in enumerate(wanted[: len(tracks)]):
        if result[number] < 0 and channel in _PITCHED_CHANNELS and channel not in result:
            result[number] = channel
    free = [channel for channel in _PITCHED_CHANNELS if channel not in result]
    free.sort(key=lambda channel: channel in taken)
    left = chain(free, cycle(_PITCHED_CHANNELS))
    return [next(left) if channel < 0 else channel for channel in result]


def _ports(on: Sequence[int]) -> list[list[Event]]:
    """By track: its MIDI port where an earlier one has its channel, as LMMS would merge them; drums share the first."""
    earlier = [0 if channel == DRUM_CHANNEL else on[:number].count(channel) for number, channel in enumerate(on)]
    return [[(0, _NAME, meta_message(PORT, bytes([port & 0x7F])))] if port else [] for port in earlier]


def track_names(tracks: Sequence[Track], silent: Sequence[str] = ()) -> list[str]:
    """Unique ASCII names, as near to the tracks' own as can be; without one, what the instrument is called.

    Those of tracks without notes come last.
    """
    wanted = [_readable(track.name, default_name(track.program, track.is_drum)) for track in tracks]
    wanted += [_readable(name, "Setup") for name in silent]
    taken: set[str] = set()
    names = []
    for name in wanted:
        number, unique = 1, name
        while unique in taken or (number > 1 and unique in wanted):
            number += 1
            unique = f"{name} {number}"
        taken.add(unique)
        names.append(unique)
    return names


def _readable(name: str, otherwise: str) -> str:
    name = ascii_name(name)
    return name if any(c.isalnum() for c in name) else otherwise


def _keys(score: Score) -> list[Event]:
    events = []
    for key in score.key_signatures:
        sharps = shift_signature(key.key, 0)
        events.append((key.time, _META, meta_message(KEY_SIGNATURE, struct.pack("bB", sharps, key.tonality != 0))))
    return events


def _conductor(score: Score, title: str, texts: Sequence[Text], keys: list[Event], spelt: Spelt) -> list[Event]:
    events = _names(title, ascii_name(title)) if title else []
    events += [(tick, _META, _meter(tick, *meter)) for tick, *meter in meters(score)]
    events += [(tick, _META, _tempo(tick, mspq)) for tick, mspq in _tempos(score)]
    events += keys
    events += [(marker.time, _META, _text(MARKER, marker.text, spelt)) for marker in score.markers]
    for text in texts:
        events += [(text.tick, _META, message) for message in _piece_text(text, spelt)]
    return events


def _text(kind: int, words: str, spelt: Spelt) -> bytes:
    """A text event, in the bytes in which it came, or in UTF-8."""
    return meta_message(kind, spelt.get((kind, words)) or words.encode())


def _piece_text(text: Text, spelt: Spelt) -> list[bytes]:
    """A text of the whole piece. A copyright notice stands in ASCII too, where that can say it.

    Rosegarden stops at a notice beyond ASCII and asks for its encoding; its letters stay in an event of our own.
    """
    if text.kind == SEQUENCER:
        return [meta_message(SEQUENCER, OWN_ID + text.text.encode())]
    plain = _plain_copyright(text)
    if not plain:
        return [_text(text.kind, text.text, spelt)]
    own = OWN_ID + KEPT_COPYRIGHT.encode() + text.text.encode()
    return [meta_message(COPYRIGHT, plain.encode()), meta_message(SEQUENCER, own)]


def _plain_copyright(text: Text) -> str:
    """A copyright notice in ASCII; empty where it needs none, or where letters would be lost."""
    plain = ascii_name(text.text)
    lossy = plain.count("?") > text.text.count("?")
    return "" if text.kind != COPYRIGHT or text.text.isascii() or lossy else plain


def _names(name: str, written: str) -> list[Event]:
    events = [(0, _NAME, meta_message(TRACK_NAME, written.encode()))]
    if name and name != written:
        events.append((0, _NAME, meta_message(SEQUENCER, OWN_ID + keep_name(name).encode())))
    return events


def _tempos(score: Score) -> list[tuple[int, int]]:
    """(tick, microseconds a quarter), the last of each tick, from tick 0 on: 120 qpm by MIDI's default."""
    by_tick = {0: 500_000}
    for tempo in sorted(score.tempos, key=lambda t: t.time):
        by_tick[tempo.time] = tempo.mspq
    return list(by_tick.items())


def _tempo(tick: int, mspq: int) -> bytes:
    if not 0 < mspq < 1 << 24:
        raise LimitExceeded(f"tempo {60e6 / max(mspq, 1):.2f} qpm at tick {tick:,}: MIDI holds 3.58 qpm and faster")
    return meta_message(SET_TEMPO, mspq.to_bytes(3, "big"))


def _meter(tick: int, numerator: int, denominator: int) -> bytes:
    if numerator > 255 or denominator & (denominator - 1):
        raise LimitExceeded(
            f"meter {numerator}/{denominator} at tick {tick:,}: MIDI holds up to 255 halves, quarters, eighths ..."
        )
    # The click falls on the beat: dotted in compound meters. 24 clocks and eight 32nds a quarter.
    beat = 3 if denominator >= 8 and numerator % 3 == 0 and numerator > 3 else 1
    click = max(1, min(255, 96 * beat // denominator))
    return meta_message(TIME_SIGNATURE, bytes([numerator, denominator.bit_length() - 1, click, 8]))


def _track(track: Track, name: str, channel: int, keys: list[Event], spelt: Spelt) -> list[Event]:
    events = _names(track.name, name)
    events += keys
    notes = notes_of(track)
    # of notes of one pitch and onset the shortest first, whose note-off comes first
    notes = notes._replace(duration=np.maximum(1, notes.duration))
    notes = notes.take(np.lexsort((notes.velocity, notes.duration, notes.pitch, notes.onset)))
    controls = [(c.time, c.number, c.value) for c in track.controls] + _pedals(track)
    first_note = int(notes.onset.min()) if len(notes.onset) else 0
    banks = [time for time, number, _ in controls if number in _BANK_SELECT and time <= first_note]
    events.append((max(banks, default=0), _PROGRAM, bytes([0xC0 | channel, track.program & 0x7F])))
    for time, number, value in controls:
        order = _BANK if number in _BANK_SELECT else _CONTROL
        events.append((time, order, bytes([0xB0 | channel, number & 0x7F, value & 0x7F])))
    for bend in track.pitch_bends:
        value = max(0, min(2 * BEND_CENTRE - 1, bend.value + BEND_CENTRE))
        events.append((bend.time, _CONTROL, bytes([0xE0 | channel, value & 0x7F, value >> 7])))
    events += [(lyric.time, _META, _text(LYRIC, lyric.text, spelt)) for lyric in track.lyrics]
    velocities = np.clip(notes.velocity, 1, 127)
    for onset, duration, pitch, velocity in zip(*(c.tolist() for c in (*notes[:3], velocities)), strict=True):
        events.append((onset, _ON, bytes([0x90 | channel, pitch, velocity])))
        events.append((onset + duration, _OFF, bytes([0x80 | channel, pitch, 0])))
    return events


class _Beside:
    """Events that stood beside a score, for the tracks that are written."""

    def __init__(self, others: Beside, tpq: int) -> None:
        self._others = others
        self._ticks = rescale(others.messages[:, 0], others.tpq, tpq)
        self._tpq = tpq

    @property
    def silent_channels(self) -> set[int]:
        """The channels of messages in tracks without notes."""
        rows = self._others.messages
        return set((rows[rows[:, 1] >= self._others.tracks, 2] >> 16 & 0xF).tolist())

    def events(self, track: int) -> list[Event]:
        """The meta and system-exclusive events of a track."""
        found = [event for event in self._others.events if event.track == track]
        return [(rescale(event.tick, self._others.tpq, self._tpq), _META, event.message) for event in found]

    def track(self, number: int, channel: int | None = None) -> list[Event]:
        """All events of a track, on a channel, or each on its own."""
        found = self.events(number)
        mine = self._others.messages[:, 1] == number
        for tick, packed in zip(self._ticks[mine].tolist(), self._others.messages[mine, 2].tolist(), strict=True):
            kind, first = packed >> 20, packed >> 8 & 0x7F
            status = kind << 4 | (packed >> 16 & 0xF if channel is None else channel)
            message = bytes([status, first]) if kind in (PROGRAM, PRESSURE) else bytes([status, first, packed & 0x7F])
            order = {PROGRAM: _PROGRAM, POLY_PRESSURE: _TOUCH}.get(kind, _CONTROL)
            if kind == CONTROL and first in _BANK_SELECT:
                order = _BANK
            found.append((tick, order, message))
        return found


def _pedals(track: Track) -> list[tuple[int, int, int]]:
    """Pedals as controls, where the controls do not hold them already (symusic reads a pedal as both)."""
    if any(control.number == _SUSTAIN for control in track.controls):
        return []
    ends = [(pedal.time + pedal.duration, _SUSTAIN, 0) for pedal in track.pedals]
    return sorted(ends + [(pedal.time, _SUSTAIN, 127) for pedal in track.pedals])


def _delta(ticks: int) -> bytes:
    """A delta time; one of more than 28 bits waits at empty texts."""
    waits, rest = divmod(ticks, _LONGEST_DELTA)
    return waits * (number_bytes(_LONGEST_DELTA) + meta_message(TEXT, b"")) + number_bytes(rest)


def _chunk(events: list[Event], end: int) -> bytes:
    parts: list[bytes] = []
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):  # stable: else in the order given
        if tick < now:
            raise LimitExceeded(f"an event at tick {tick:,}; a piece starts at tick 0: shift it")
        parts += (_delta(tick - now), message)
        now = tick
    body = b"".join(parts) + _delta(end - now) + _END_OF_TRACK
    return b"MTrk" + struct.pack(">I", len(body)) + body

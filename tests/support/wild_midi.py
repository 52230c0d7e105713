"""MIDI files of any events in any order, and the check that both readers of MIDI make the same of a file."""

import random

import pytest
from symusic import Track

from melody.errors import MelodyError
from melody.formats.midi import Limits, parse, reader
from melody.formats.midi.strict import read_strictly
from support.midi_files import EOT, file, meta, number


def facts(data: bytes, limits: Limits) -> tuple[object, ...]:
    """All that reading gives, or the line that refuses the file."""
    try:
        reading = parse(data, "any.mid", limits)
    except MelodyError as error:
        return type(error), str(error)
    score, beside = reading.score, reading.beside
    maps = score.tempos, score.time_signatures, score.key_signatures, score.markers
    sentences = reading.repairs, reading.remarks, reading.title, reading.texts, reading.channels
    others = beside.tpq, beside.tracks, beside.silent, beside.events, beside.messages.tolist(), dict(beside.spelt)
    return (
        score.tpq,
        [track_facts(track) for track in score.tracks],
        [list(map(repr, m)) for m in maps],
        sentences,
        others,
    )


def track_facts(track: Track) -> tuple[object, ...]:
    columns = [{k: v.tolist() for k, v in kind.numpy().items()} for kind in (track.notes, track.controls)]
    bends = [(bend.time, bend.value) for bend in track.pitch_bends]
    return track.name, track.program, track.is_drum, columns, bends, list(map(repr, track.lyrics)), len(track.pedals)


def is_agreed(data: bytes, limits: Limits = Limits()) -> bool:
    """Hold both readers to one result; tell if the fast one was used."""
    fast = facts(data, limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "read_strictly", lambda *_: None)
        assert fast == facts(data, limits)
    return read_strictly(data, "any.mid", limits) is not None


def altered(data: bytes, numbers: random.Random) -> bytes:
    """The file with a few bytes that are others, or bits."""
    changed = bytearray(data)
    for _ in range(numbers.choice((1, 1, 2, 5))):
        place = numbers.randrange(len(changed))
        changed[place] = numbers.choice((changed[place] ^ 1 << numbers.randrange(8), numbers.randrange(256), 0))
    return bytes(changed)


def wild(numbers: random.Random) -> bytes:
    """A file of any events in any order: overlapping notes, lost note-offs, running status, texts, exclusives."""
    return file(*(wild_track(numbers) for _ in range(numbers.randint(1, 4))), division=numbers.choice((96, 480)))


def wild_track(numbers: random.Random) -> bytes:
    events, running = [], 0
    channels = numbers.sample(range(16), 2)
    for _ in range(numbers.randint(0, 60)):
        delta = number(numbers.choice((0, 0, 1, 30, 127, 128, 20_000)))
        if numbers.random() < 0.1:
            kind = numbers.choice((1, 3, 4, 5, 6, 0x20, 0x51, 0x58, 0x59, 0x7F))
            payload = numbers.choice((b"a\nb", b"\x07\xa1\x20", b"\x03\x02\x18\x08", b"", b"\x82\xa0", b"\0\0"))
            exclusive = b"\xf0" + number(5) + b"\x7e\x7f\x09\x01\xf7"
            events.append(delta + (exclusive if numbers.random() < 0.2 else meta(kind, payload)[1:]))
            running = 0
            continue
        kind = numbers.choice((8, 8, 9, 9, 9, 9, 0xA, 0xB, 0xC, 0xD, 0xE))
        status = kind << 4 | numbers.choice(channels)
        body = [numbers.choice((60, 62, 64)), numbers.choice((0, 1, 64, 127))][: 1 if kind in (0xC, 0xD) else 2]
        events.append(delta + (b"" if status == running else bytes([status])) + bytes(body))
        running = status
    ends = b"".join(bytes([0, 0x80 | channel, pitch, 0]) for channel in channels for pitch in (60, 62, 64) * 12)
    return b"".join(events) + (ends if numbers.random() < 0.8 else b"") + EOT

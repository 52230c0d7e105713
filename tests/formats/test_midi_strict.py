"""The fast reader of MIDI files gives what the careful one gives: the same score, sentences and events beside it."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import midi_files
from support.hostile_midi import damaged
from support.midi_files import EOT, LONGER, NOTE, TRACK, WHOLE, file, meta, number
from symusic import Track
from symusic.core import ScoreTick as Score

from melody.corpus.archives import opened
from melody.errors import MelodyError
from melody.formats.midi import Limits, dumps, parse, reader
from melody.formats.midi.strict import read_strictly
from melody.native.library import core

pytestmark = pytest.mark.skipif(core() is None, reason="the core is not compiled")

GALLERY = sorted((Path(__file__).parents[2] / "outputs" / "gallery").glob("*.mid"))


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


def test_readers_agree_on_files_of_all_kinds() -> None:
    used = [is_agreed(path.read_bytes()) for path in GALLERY]
    assert len(used) >= 8
    assert all(used)
    assert not any(is_agreed(data) for data in (b"", WHOLE[:-1], WHOLE + b"x", WHOLE.replace(b"\x90\x3c", b"\x90\xbc")))
    assert not is_agreed(file(NOTE + meta(1, b"so") + b"\x00\x3c\x40" + EOT))  # running status across a text
    assert is_agreed(file(NOTE + meta(1, b"so") + NOTE + EOT, TRACK, LONGER + EOT))
    assert is_agreed(file(b"\x00\x90\x3c\x40\x00\x80\x3c\x00" + TRACK))  # a note without length


def test_readers_agree_on_damaged_files() -> None:
    used = [is_agreed(case.data) for case in damaged()]
    assert len(used) > 150
    assert sum(used) < len(used) / 4


def test_readers_agree_on_altered_and_wild_files() -> None:
    numbers, whole = random.Random(0), [path.read_bytes() for path in GALLERY if path.stat().st_size < 6000]
    used = [is_agreed(altered(numbers.choice(whole), numbers)) for _ in range(60)]
    assert 5 < sum(used) < 50
    wildly = [is_agreed(wild(numbers)) for _ in range(300)]
    assert 100 < sum(wildly) < 300


@given(midi_files.scores(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_readers_agree_on_any_score(score: Score, numbers: random.Random) -> None:
    data = dumps(score)
    assert is_agreed(data)
    is_agreed(altered(data, numbers))


def test_readers_agree_at_limits() -> None:
    data = file(meta(3, b"Air") + EOT, LONGER + LONGER + EOT, TRACK)
    for at in range(1, 16):
        for limits in (Limits(events=at), Limits(payloads=at), Limits(tracks=at), Limits(ticks=16 * at)):
            is_agreed(data, limits)
        is_agreed(data, Limits(file_bytes=len(data) - 8 + at))
    assert is_agreed(data, Limits(events=14, payloads=4, tracks=3))
    assert not is_agreed(data, Limits(events=13))


@pytest.mark.slow
@pytest.mark.parametrize("archive", ["groove", "pop909", "band"])
def test_readers_agree_on_corpora(archive: str, data_folder: Path) -> None:
    def some(root: Path) -> Iterator[bytes]:
        for path in sorted(root.rglob("*.mid"))[::8][:150]:
            yield path.read_bytes()

    numbers, used = random.Random(1), []
    with opened(data_folder / f"{archive}.tar.xz", lambda path: path.endswith(".mid")) as root:
        for data in some(root):
            used.append(is_agreed(data))
            is_agreed(altered(data, numbers))
    assert sum(used) > 0.7 * len(used) > 15

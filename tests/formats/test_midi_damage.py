"""Damaged, foreign and boundless files: a score with what could be saved, or one line that says why not."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import midi_files
from support.midi_files import EOT, LONGER, NOTE, TRACK, WHOLE, chunk, file, header, meta, notes, number
from support.odd_primers import odd_primer
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.midi import Limits, Reading, Text, check, dumps, parse, read_midi


def test_a_file_cut_anywhere_gives_notes_or_one_line() -> None:
    data = file(meta(3, b"Air") + meta(0x51, b"\x07\xa1\x20") + EOT, LONGER + EOT, LONGER + LONGER + EOT)
    whole = notes(parse(data).score)
    recovered = 0
    for length in range(len(data)):
        if reading := parse_or_refuse(data[:length]):
            assert reading.repairs
            for track in notes(reading.score):  # each a beginning of the whole one, but for the note that was cut
                assert [note[2:] for note in track] == [note[2:] for note in whole[-1]][: len(track)]
                assert track[:-1] == whole[-1][: len(track) - 1]
            recovered += 1
    assert recovered == len(data) - data.index(NOTE) - 4  # from the first complete note-on


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_score_or_one_line(data: bytes) -> None:
    _never_crashes(data)
    _never_crashes(header() + chunk(data))


@given(midi_files.scores(), st.data())
@settings(max_examples=50, deadline=None)
def test_damaged_files_give_a_score_or_one_line(score: Score, data: st.DataObject) -> None:
    whole = bytearray(dumps(score))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    _never_crashes(bytes(whole))


def parse_or_refuse(data: bytes) -> Reading | None:
    """Return what is read, or None where a message of one line says why not."""
    try:
        return parse(data, "any.mid")
    except MelodyError as error:
        message = str(error)
    assert message.startswith("any.mid: ")
    assert message.isprintable()
    return None


def _never_crashes(data: bytes) -> None:
    reading = parse_or_refuse(data)
    if reading is None:
        return
    for track in notes(reading.score):
        assert all(onset >= 0 and duration >= 1 and onset + duration < 1 << 31 for onset, duration, _, _ in track)
    assert all(repair.isprintable() for repair in reading.repairs)


# ---- refusals and limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no MIDI file"),
        (b"MThd\x00\x00", "ends inside its MIDI header"),
        (header(3), "without a track"),
        (header() + b"MTr", "without a track"),
        (header() + b"MTrk\x00", "no note can be recovered"),
        (header() + chunk(b"\x00\x90\x3c"), "no note can be recovered"),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=f"^name.mid: .*{reason}"):
        parse(data, "name.mid")


def test_a_sound_file_without_notes_is_an_empty_score() -> None:
    reading = parse(file(meta(0x51, b"\x07\xa1\x20") + EOT))
    assert (len(reading.score.tracks), len(reading.score.tempos), reading.repairs) == (0, 1, ())


def test_limits_are_named() -> None:
    with pytest.raises(LimitExceeded, match="over 4 events"):
        parse(file(NOTE + TRACK), limits=Limits(events=4))
    with pytest.raises(LimitExceeded, match="over 100 events"):
        parse(file(NOTE * 100 + EOT), limits=Limits(events=100))
    with pytest.raises(LimitExceeded, match="over 1 tracks"):
        parse(WHOLE, limits=Limits(tracks=1))
    with pytest.raises(LimitExceeded, match="make over 2 tracks"):
        parse(file(b"".join(bytes([0, 0xC0, n]) + NOTE for n in range(3)) + EOT), limits=Limits(tracks=2))
    with pytest.raises(LimitExceeded, match="bytes"):
        parse(WHOLE, limits=Limits(file_bytes=10))
    with pytest.raises(LimitExceeded, match=r"track 1 reaches tick 2,415,919,095"):
        parse(file(*[(number((1 << 28) - 1) + b"\x90\x3c\x40") * 9 + EOT]))
    with pytest.raises(LimitExceeded, match="at 1 ticks a quarter"):
        parse(file(number(1 << 27) + NOTE[1:] + EOT, division=1))
    reading = parse(file(meta(1, b"x" * 99) + TRACK), limits=Limits(text_characters=9))
    assert reading.texts == (Text(0, "x" * 9),)
    assert "more than 9 characters" in reading.repairs[0]


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.mid")
    for path in (tmp_path, tmp_path / "fifo.mid", Path("/dev/zero"), tmp_path / "none.mid"):
        with pytest.raises(UnreadableFile, match=f"^{path}: "):
            read_midi(path)
    (tmp_path / "a.mid").write_bytes(WHOLE)
    assert len(read_midi(tmp_path / "a.mid").score.tracks) == 2
    with pytest.raises(LimitExceeded, match=r"a\.mid: 54 bytes"):
        read_midi(tmp_path / "a.mid", Limits(file_bytes=53))


# ---- written again ---------------------------------------------------------------------------------------------------


def _damaged(seed: int) -> bytes:
    """An odd primer with a few bytes changed, lost or put in behind its header."""
    dice = random.Random(seed)
    data = bytearray(odd_primer(seed))
    for _ in range(dice.randint(1, 4)):
        place, junk = dice.randrange(14, len(data)), dice.randbytes(dice.randint(1, 5))
        data[place : place + dice.choice((0, len(junk), 9))] = dice.choice((junk, junk[:1], b""))
    return bytes(data)


@pytest.mark.parametrize("seed", range(60))
def test_what_was_read_of_a_damaged_file_is_written_and_read_again(seed: int) -> None:
    reading = parse_or_refuse(_damaged(seed))
    if reading is None:
        return
    try:
        data = dumps(reading.score, texts=reading.texts, own_channels=reading.channels, others=reading.beside)
    except LimitExceeded:  # damaged delta times led too many bars away
        return
    again = parse(data)
    assert [len(track) for track in notes(again.score)] == [len(track) for track in notes(reading.score)]
    assert {breach.rule for breach in check(data)} <= {"hang"}  # what the file leaves acting it still does
    assert all("control characters" in repair for repair in again.repairs)

"""The reader agrees with symusic on sound files, mends what can be mended and says so, refuses the rest in a line."""

import io
import struct

import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import midi_files
from support.midi_files import EOT, NOTE, TRACK, WHOLE, chunk, file, header, meta, notes, number
from symusic.core import ScoreTick as Score

from melody.formats.midi import Limits, Text, dumps, parse
from melody.formats.midi.events import scan

# ---- sound files -----------------------------------------------------------------------------------------------------


@given(midi_files.scores())
@settings(max_examples=40, deadline=None)
def test_sound_files_read_as_by_symusic(score: Score) -> None:
    data = dumps(score)
    ours, theirs = parse(data).score, Score.from_midi(data, False)
    theirs.tracks = [track for track in theirs.tracks if len(track.notes)]  # it gives lyrics tracks of their own
    assert notes(ours) == notes(theirs)
    assert [(t.program, t.is_drum) for t in ours.tracks] == [(t.program, t.is_drum) for t in theirs.tracks]
    assert [[(c.time, c.number, c.value) for c in t.controls] for t in ours.tracks] == [
        [(c.time, c.number, c.value) for c in t.controls] for t in theirs.tracks
    ]
    assert [[(b.time, b.value) for b in t.pitch_bends] for t in ours.tracks] == [
        [(b.time, b.value) for b in t.pitch_bends] for t in theirs.tracks
    ]
    assert [(t.time, t.mspq) for t in ours.tempos] == [(t.time, t.mspq) for t in theirs.tempos]
    assert [(m.time, m.numerator, m.denominator) for m in ours.time_signatures] == [
        (m.time, m.numerator, m.denominator) for m in theirs.time_signatures
    ]


def test_a_file_of_pretty_midi_reads_as_by_symusic() -> None:
    data = _pretty_midi_file()
    reading, theirs = parse(data), Score.from_midi(data, False)
    assert reading.repairs == ()
    assert notes(reading.score) == notes(theirs)
    assert [(t.name, t.program, t.is_drum) for t in reading.score.tracks] == [
        (t.name, t.program, t.is_drum) for t in theirs.tracks
    ]
    assert [t.qpm for t in reading.score.tempos] == [t.qpm for t in theirs.tempos]
    assert [len(t.controls) for t in reading.score.tracks] == [3, 0]
    assert reading.score.tracks[0].pedals == []  # a pedal is its controls, once


def _pretty_midi_file() -> bytes:
    piece = pretty_midi.PrettyMIDI(initial_tempo=97)
    generator = np.random.default_rng(0)
    for program, is_drum in ((40, False), (0, True)):
        instrument = pretty_midi.Instrument(program, is_drum, name=f"part {program}")
        for start in generator.uniform(0, 30, 100):
            pitch, length = int(generator.integers(30, 90)), float(generator.uniform(0.1, 1))
            instrument.notes.append(pretty_midi.Note(int(generator.integers(1, 128)), pitch, start, start + length))
        piece.instruments.append(instrument)
    for value, time in ((127, 0.5), (0, 1.0), (127, 1.5)):
        piece.instruments[0].control_changes.append(pretty_midi.ControlChange(64, value, time))
    file = io.BytesIO()
    piece.write(file)
    return file.getvalue()


def test_each_channel_and_program_becomes_a_track() -> None:
    body = (
        meta(3, b"Band")
        + b"\x00\xc0\x28\x00\xc9\x08"
        + NOTE  # channel 1, violin
        + b"\x00\x99\x24\x50\x60\x89\x24\x00"  # channel 10
        + b"\x00\xc0\x2d"
        + NOTE  # channel 1, pizzicato
        + b"\x00\xb0\x07\x50"
        + EOT
    )
    reading = parse(file(body, kind=0))
    tracks = reading.score.tracks
    assert [(t.name, t.program, t.is_drum, len(t.notes)) for t in tracks] == [
        ("Band", 40, False, 1),
        ("Band", 45, False, 1),
        ("Band", 8, True, 1),
    ]
    assert [len(t.controls) for t in tracks] == [1, 1, 0]  # a control acts on the whole channel
    assert (reading.repairs, reading.title) == ((), "")


def test_setup_in_another_track_counts() -> None:
    setup = b"\x00\xc0\x28\x00\xb0\x07\x50\x00\xe0\x00\x50" + meta(5, b"la") + EOT
    track = parse(file(setup, TRACK)).score.tracks[0]
    assert track.program == 40
    assert [(c.number, c.value) for c in track.controls] == [(7, 80)]
    assert [b.value for b in track.pitch_bends] == [(0x50 << 7) - 8192]
    assert [lyric.text for lyric in track.lyrics] == ["la"]


def test_a_program_change_just_after_the_first_note_on_counts_for_it() -> None:
    body = b"\x00\x90\x3c\x40\x00\xc0\x28\x60\x80\x3c\x00" + EOT
    assert parse(file(body)).score.tracks[0].program == 40


def test_notes_of_one_pitch_end_first_in_first_out() -> None:
    body = b"\x00\x90\x3c\x01\x10\x90\x3c\x02\x10\x80\x3c\x00\x10\x80\x3c\x00" + EOT
    assert notes(parse(file(body)).score) == [[(0, 32, 60, 1), (16, 32, 60, 2)]]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([60, 61]), st.integers(0, 1), st.booleans()), max_size=30))
@settings(deadline=None)
def test_pairing_equals_a_plain_queue(events: list[tuple[int, int, int, bool]]) -> None:
    body, now, by_key = b"", 0, {}  # type: ignore[var-annotated]
    for velocity, (delta, pitch, channel, begins) in enumerate(events, 1):
        body += bytes([delta, (0x90 if begins else 0x80) | channel, pitch, velocity])
        now += delta
        by_key.setdefault((channel, pitch), []).append((now, velocity, begins))
    wanted = [
        (onset, max(1, end - onset), pitch, velocity)
        for (_, pitch), messages in by_key.items()
        for onset, end, velocity in _paired(messages, now)
    ]
    if wanted:
        found = [note for track in notes(parse(file(body + EOT)).score) for note in track]
        assert sorted(found) == sorted(wanted)


def _paired(messages: list[tuple[int, int, bool]], end: int) -> list[tuple[int, int, int]]:
    """Onset, end and velocity of the notes of one key: a queue; what it holds since it was last empty and never again
    ends at the next message."""
    queue: list[tuple[int, int]] = []
    paired, since = [], []  # type: ignore[var-annotated]
    for tick, velocity, begins in messages:
        if begins:
            queue.append((tick, velocity))
        elif queue:
            onset, loudness = queue.pop(0)
            paired.append((onset, tick, loudness))
        else:
            continue
        since.append((tick, velocity, begins))
        if not queue:
            since = []
    settled = len(paired) - sum(not begins for _, _, begins in since)
    following = [tick for tick, _, _ in since[1:]] + [end]
    return paired[:settled] + [(t, e, v) for (t, v, begins), e in zip(since, following, strict=False) if begins]


messages = st.one_of(
    st.tuples(st.integers(0x80, 0xBF) | st.integers(0xE0, 0xEF), st.integers(0, 127), st.integers(0, 127)),
    st.tuples(st.integers(0xC0, 0xDF), st.integers(0, 127)),
)
deltas = st.integers(0, 300) | st.integers(0, (1 << 28) - 1)


@given(st.lists(st.tuples(deltas, messages, st.booleans()), max_size=40))
@settings(deadline=None)
def test_runs_read_as_event_by_event(events: list[tuple[int, tuple[int, ...], bool]]) -> None:
    body, status, wanted, now = b"", 0, [], 0
    for delta, message, running in events:
        now += delta
        explicit = message[0] != status or not running
        body += number(delta) + bytes(message if explicit else message[1:])
        status = message[0]
        wanted.append((now, message[0] << 16 | message[1] << 8 | sum(message[2:])))
    for shortest in (1, 1 << 30):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("melody.formats.midi.track._SHORTEST_RUN", shortest)
            (track,) = scan(file(body + EOT), "", Limits(ticks=1 << 62)).tracks
        assert list(zip(track.ticks, track.messages, strict=True))[:-1] == wanted


def test_maps_of_all_tracks_are_joined_once() -> None:
    tempo, key, meter = meta(0x51, b"\x07\xa1\x20"), meta(0x59, b"\xfd\x01"), meta(0x58, b"\x07\x03\x18\x08")
    reading = parse(file(meter + key + EOT, tempo + key + TRACK, meta(0x59, b"\x01\x00") + TRACK))
    score = reading.score
    assert [(t.time, t.mspq) for t in score.tempos] == [(0, 500_000)]
    assert [(k.key, k.tonality) for k in score.key_signatures] == [(-3, 1)]
    assert [(m.numerator, m.denominator) for m in score.time_signatures] == [(7, 8)]
    assert "1 keys in later tracks contradict" in reading.remarks[0]


def test_texts_titles_markers_and_lyrics_are_kept() -> None:
    conductor = meta(3, b"Air") + meta(2, "© me".encode()) + meta(1, b"by hand") + meta(6, b"A", 10) + EOT
    reading = parse(file(conductor, meta(5, "lá".encode("latin-1")) + TRACK))
    assert reading.title == "Air"
    assert reading.texts == (Text(0, "by hand", 1), Text(0, "© me", 2))
    assert [(m.time, m.text) for m in reading.score.markers] == [(10, "A")]
    assert [lyric.text for lyric in reading.score.tracks[0].lyrics] == ["lá"]


def test_what_a_score_cannot_hold_is_remarked() -> None:
    body = (
        b"\x00\xf0\x05\x7e\x7f\x09\x01\xf7"
        + b"\x00\xd0\x10\x00\xa0\x3c\x10"
        + meta(0x7F, b"x")
        + b"\x00\x80\x10\x00"
        + TRACK
    )
    reading = parse(file(body))
    assert reading.repairs == ()
    assert reading.remarks == (
        "left out: 1 note-offs of notes that do not sound",
        "beside the score, kept in the MIDI of takes: 2 aftertouch messages, 1 label, 1 system-exclusive event",
    )


# ---- repairs ---------------------------------------------------------------------------------------------------------


REPAIRS = {
    "garbage before": (b"hello" + WHOLE, "5 bytes before the MIDI header", 2),
    "garbage after": (WHOLE + b"\x1b[0m and more", "bytes after the last track", 2),
    "garbage between": (header(2) + chunk(TRACK) + b"\x01?\x02" + chunk(TRACK), "bytes between tracks", 2),
    "RIFF": (b"RIFF\x00\x00\x00\x00RMIDdata\x00\x00\x00\x00" + WHOLE, "RIFF wrapper", 2),
    "header mark": (b"MXhd" + WHOLE[4:], "mark MThd is damaged", 2),
    "no header": (WHOLE[14:], "no header; took 480", 2),
    "header length": (WHOLE[:4] + b"\x00\x00\x10\x06" + WHOLE[8:], "header's length", 2),
    "too many announced": (header(65535) + chunk(TRACK), "announces 65,535 tracks", 1),
    "too few announced": (header(0) + chunk(TRACK), "announces 0 tracks", 1),
    "type 2": (file(TRACK, TRACK, kind=2), "type 2", 2),
    "type 9": (file(TRACK, kind=9), "type 9", 1),
    "type 0 with two tracks": (file(TRACK, TRACK, kind=0), "type 0 with more than one", 2),
    "division 0": (file(TRACK, division=0), "division 0", 1),
    "chunk too long": (header(2) + chunk(TRACK, 99) + chunk(TRACK), "length is wrong", 2),
    "chunk over the next": (
        header(2) + chunk(TRACK, 2 * len(TRACK) + 8) + chunk(TRACK),
        "reaches over the next track",
        2,
    ),
    "chunk too short": (header(2) + chunk(TRACK, 3) + chunk(TRACK), "length is wrong", 2),
    "chunk length 0": (header(2) + chunk(TRACK, 0) + chunk(TRACK), "length is wrong", 2),
    "chunk length 4 GB": (header(1) + chunk(TRACK, 0xFFFFFFFF), "length is wrong", 1),
    "no end-of-track": (file(NOTE, TRACK), "no end-of-track", 2),
    "events after the end": (file(TRACK + NOTE), "bytes after an end-of-track", 1),
    "cut off": (WHOLE[:-6], "cut off inside a track", 2),
    "long number": (file(NOTE + b"\x80\x80\x80\x80\x10\x90\x3e\x40" + EOT), "notes without an end", 1),
    "endless number": (file(NOTE + b"\xff" * 9 + TRACK), "variable-length number of more than four", 1),
    "no status": (file(NOTE, b"\x00\x3c\x40" + TRACK), "data without a status byte", 1),
    "stray system message": (file(b"\x00\xf2\x01\x02\x00\xf8" + TRACK), "no place in a file", 1),
    "data bytes above 127": (file(NOTE[:3] + b"\xc0" + NOTE[4:] + EOT), "data bytes above 127", 1),
    "running status over meta": (
        file(b"\x00\x90\x3c\x40" + meta(1, b"x") + b"\x60\x3c\x00" + EOT),
        "running status goes on",
        1,
    ),
    "meta longer than the track": (file(NOTE + b"\x00\xff\x01\x7fabc"), "event longer than its track", 1),
    "unterminated": (file(b"\x00\x90\x3c\x40" + b"\x60" + EOT[1:]), "notes without an end", 1),
    "zero length": (file(NOTE + b"\x00\x90\x3e\x40\x00\x80\x3e\x00" + EOT), "notes without length", 1),
    "tempo 0": (file(meta(0x51, b"\0\0\0") + TRACK), "tempos that cannot be", 1),
    "short tempo": (file(meta(0x51, b"\x07") + TRACK), "tempos that cannot be", 1),
    "meter 0/4": (file(meta(0x58, b"\x00\x02\x18\x08") + TRACK), "meters that cannot be", 1),
    "meter of tiny units": (file(meta(0x58, b"\x04\xff\x18\x08") + TRACK), "meters that cannot be", 1),
    "key of 99 sharps": (file(meta(0x59, b"\x63\x00") + TRACK), "keys that cannot be", 1),
    "escapes in a name": (file(meta(3, b"a\x1b[31mred\x07\x00") + TRACK), "control characters", 1),
}


@pytest.mark.parametrize("case", REPAIRS)
def test_what_can_be_mended_is_mended_and_stated(case: str) -> None:
    data, sentence, tracks = REPAIRS[case]
    reading = parse(data)
    assert any(sentence in repair for repair in reading.repairs), reading.repairs
    assert len(reading.score.tracks) == tracks
    for track in notes(reading.score):
        assert track[0] == (0, 1 if case == "cut off" and track == notes(reading.score)[-1] else 96, 60, 64)
    again = parse(dumps(reading.score))
    assert again.repairs == ()
    assert len(again.score.tracks) == tracks


def test_a_foreign_chunk_is_no_defect() -> None:
    foreign = b"XFIH" + struct.pack(">I", 3) + b"abc"
    assert parse(header() + foreign + chunk(TRACK) + foreign).repairs == ()


@pytest.mark.parametrize(
    ("frames", "per_frame", "tpq", "mspq"),
    [(25, 40, 500, 500_000), (24, 4, 48, 500_000), (29, 100, 1500, 500_500), (25, 1, 25, 1_000_000)],
)
def test_time_code_keeps_every_time(frames: int, per_frame: int, tpq: int, mspq: int) -> None:
    data = file(meta(0x51, b"\x01\x00\x00") + TRACK, division=(256 - frames) << 8 | per_frame)
    reading = parse(data)
    assert "time code" in reading.repairs[0]
    assert reading.score.tpq == tpq
    assert [(t.time, t.mspq) for t in reading.score.tempos] == [(0, mspq)]
    seconds = 96 * mspq / tpq / 1e6
    assert seconds == pytest.approx(96 / (frames * per_frame if frames != 29 else 30 / 1.001 * per_frame))


def test_names_carry_no_terminal_escapes() -> None:
    hostile = "\x1b]0;title\x07Pi\x1b[2Ja\x9bno\u202e\x1bcforte\r\n"
    reading = parse(file(meta(3, hostile.encode()) + meta(1, b"two\nlines") + TRACK))
    assert reading.score.tracks[0].name == "Pianoforte"
    assert reading.texts == (Text(0, "two\nlines"),)


def test_repairs_of_one_kind_are_one_sentence() -> None:
    (repair,) = parse(file(*[NOTE] * 100)).repairs
    assert repair.startswith("no end-of-track")
    assert "and 96 more" in repair

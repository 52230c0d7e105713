"""The writer keeps the DAW rules and loses nothing: checked by `check`, by our reader, by mido and by pretty_midi."""

import io
from collections import defaultdict, deque

import mido
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import midi_files
from symusic import ControlChange, Note, Pedal, Tempo, TextMeta, TimeSignature, Track
from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded, MelodyError
from melody.formats.midi import SEQUENCER, Text, cautions, check, dumps, parse, write_midi
from melody.formats.midi.writer import number_bytes, track_names
from melody.music.general_midi import INSTRUMENTS
from melody.music.score import bars, resample


def notes(track: Track) -> list[tuple[int, ...]]:
    """(onset, duration, pitch, velocity), of each pitch the first note ending first, as a file has them."""
    rows = []
    for pitch in {note.pitch for note in track.notes}:
        same = [note for note in track.notes if note.pitch == pitch]
        ends = sorted(note.time + max(1, note.duration) for note in same)
        same = sorted(same, key=lambda note: (note.time, note.duration, note.velocity))
        rows += [(note.time, end - note.time, pitch, note.velocity) for note, end in zip(same, ends, strict=True)]
    return sorted(rows)


def piece(*tracks: Track) -> Score:
    """A score of these tracks."""
    score = Score(480)
    for track in tracks:
        score.tracks.append(track)
    return score


def voice(name: str = "", program: int = 0, is_drum: bool = False, start: int = 0) -> Track:
    """A track of two notes."""
    track = Track(name, program, is_drum)
    track.notes = [Note(start, 480, 60, 64), Note(start + 480, 480, 62, 64)]
    return track


@given(midi_files.scores(tpq=st.sampled_from([24, 96, 480, 960])))
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_passes_the_check(score: Score) -> None:
    data = dumps(score, title="Tïtle", texts=["{}", Text(100, "here")])
    assert [breach for breach in check(data) if breach.rule != "hang"] == []  # a score may leave a bend open
    assert dumps(score, title="Tïtle", texts=["{}", Text(100, "here")]) == data


@given(midi_files.scores())
@settings(max_examples=60, deadline=None)
def test_reading_gives_back_what_was_written(score: Score) -> None:
    reading = parse(dumps(score, title="Straße", texts=[Text(7, "words")]))
    back = reading.score
    assert reading.repairs == ()
    assert reading.title == "Straße"
    assert reading.texts == (Text(7, "words"),)
    assert [(t.time, t.mspq) for t in back.tempos] == sorted(
        {0: 500_000, **{t.time: t.mspq for t in score.tempos}}.items()
    )
    wanted = {0: (4, 4), **{m.time: (m.numerator, m.denominator) for m in score.time_signatures}}
    assert [(m.time, (m.numerator, m.denominator)) for m in back.time_signatures] == sorted(wanted.items())
    assert [(k.time, k.key, k.tonality) for k in back.key_signatures] == [
        (k.time, k.key, k.tonality) for k in score.key_signatures
    ]
    assert [(m.time, m.text) for m in back.markers] == sorted(
        ((m.time, m.text) for m in score.markers), key=lambda m: m[0]
    )
    for old, new in zip(score.tracks, back.tracks, strict=True):
        assert notes(new) == notes(old)
        assert (new.program, new.is_drum) == (old.program, old.is_drum)
        assert new.name == old.name or not old.name
        assert [(x.time, x.text) for x in new.lyrics] == sorted(
            ((x.time, x.text) for x in old.lyrics), key=lambda x: x[0]
        )
        assert sorted((c.time, c.number, c.value) for c in new.controls) == sorted(
            (c.time, c.number, c.value) for c in old.controls
        )
        assert sorted((b.time, b.value) for b in new.pitch_bends) == sorted((b.time, b.value) for b in old.pitch_bends)


@pytest.mark.filterwarnings("ignore:Tempo, Key or Time signature:RuntimeWarning")  # keys in every track, for MuseScore
@given(midi_files.scores())
@settings(max_examples=30, deadline=None)
def test_mido_and_pretty_midi_read_the_same_notes(score: Score) -> None:
    data = dumps(score)
    wanted = [notes(track) for track in score.tracks]
    assert [_mido_notes(track) for track in mido.MidiFile(file=io.BytesIO(data)).tracks[1:]] == wanted
    other = pretty_midi.PrettyMIDI(io.BytesIO(data))
    starts = sorted(
        (round(other.time_to_tick(n.start)), n.pitch, n.velocity) for i in other.instruments for n in i.notes
    )
    assert starts == sorted((onset, pitch, velocity) for track in wanted for onset, _, pitch, velocity in track)


def _mido_notes(track: mido.MidiTrack) -> list[tuple[int, ...]]:
    now, sounding, found = 0, defaultdict(deque), []
    for message in track:
        now += message.time
        if message.type == "note_on":
            sounding[message.note].append((now, message.velocity))
        elif message.type == "note_off":
            onset, velocity = sounding[message.note].popleft()
            found.append((onset, now - onset, message.note, velocity))
    return sorted(found)


def test_every_track_ends_on_the_final_bar_line() -> None:
    score = piece(voice(), voice(start=2000))
    score.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(480, 7, 8)]
    ends = [sum(message.time for message in track) for track in mido.MidiFile(file=io.BytesIO(dumps(score))).tracks]
    assert ends == [int(bars(score)[-1])] * 3 == [480 + 2 * 1680] * 3


@pytest.mark.parametrize(("tpq", "written"), [(192, 960), (960, 960), (220, 5280), (15360, 15360), (1001, 24024)])
def test_nothing_moves_at_a_resolution_that_480_cannot_hold(tpq: int, written: int) -> None:
    track = Track("", 0, False)
    track.notes = [Note(onset, 1, 60 + onset % 12, 64) for onset in range(0, 40, 3)]
    score = Score(tpq)
    score.tracks.append(track)
    score.tempos = [Tempo(0, mspq=500_000), Tempo(7, mspq=400_000)]
    back = parse(dumps(score, texts=[Text(5, "words")])).score
    assert back.tpq == written
    factor = written // tpq
    assert [(n.time, n.duration) for n in back.tracks[0].notes] == [
        (factor * n.time, factor * n.duration) for n in track.notes
    ]
    assert [t.time for t in back.tempos] == [0, 7 * factor]


def test_notes_far_apart_stay_there() -> None:
    track = Track("", 0, False)
    track.notes = [Note(0, 1, 60, 64), Note(1 << 28, 1, 62, 64), Note((1 << 30) + 5, 1, 64, 64)]
    score = Score(30720)
    score.tracks.append(track)
    reading = parse(dumps(score))
    assert [n.time for n in reading.score.tracks[0].notes] == [0, 1 << 28, (1 << 30) + 5]
    assert (reading.repairs, reading.texts) == ((), ())


def test_other_resolutions_are_resampled() -> None:
    track = Track("", 0, False)
    track.notes = [Note(0, 8, 60, 64), Note(8, 8, 62, 64), Note(16, 8, 64, 64)]
    score = Score(24)
    score.tracks.append(track)
    written = parse(dumps(score)).score
    assert written.tpq == 480
    assert [(n.time, n.duration) for n in written.tracks[0].notes] == [(0, 160), (160, 160), (320, 160)]
    assert notes(resample(score, 480).tracks[0]) == notes(written.tracks[0])


def test_names_are_unique_ascii_and_the_originals_come_back() -> None:
    names = ["Violão", "Violao", "Violao", "Violao 2", "日本", "", "Größe"]
    score = piece(*(voice(name, 24) for name in names))
    written = track_names(score.tracks)
    assert written[0] == "Violao"
    assert written[-1] == "Grosse"
    assert len(set(written)) == len(names)
    assert all(name.isascii() and name for name in written)
    assert [track.name for track in parse(dumps(score)).score.tracks] == [name or written[5] for name in names]


def test_a_name_is_kept_for_programs_and_not_on_the_page() -> None:
    conductor, track = mido.MidiFile(file=io.BytesIO(dumps(piece(voice("Größe")), title="Größe"))).tracks
    # MuseScore prints texts as lyrics.
    assert "text" not in {message.type for message in (*conductor, *track)}


def test_names_that_melody_0_1_kept_in_a_text_are_read() -> None:
    data = dumps(piece(voice("Grosse")))
    old = midi_files.meta(1, b"Track name: Gr\xc3\xb6\xc3\x9fe")
    start = data.index(b"MTrk", data.index(b"MTrk") + 4) + 4
    length = int.from_bytes(data[start : start + 4], "big") + len(old)
    data = data[:start] + length.to_bytes(4, "big") + old + data[start + 4 :]
    assert [track.name for track in parse(data).score.tracks] == ["Größe"]


def test_tracks_of_one_channel_stand_on_ports_of_their_own() -> None:
    score = piece(*(voice(f"Part {n}", n) for n in range(32)), voice("Drums", 0, True), voice("Drums", 0, True))
    on: list[tuple[int, int]] = []
    for track in mido.MidiFile(file=io.BytesIO(dumps(score))).tracks[1:]:
        port = next((message.port for message in track if message.type == "midi_port"), 0)
        on.append((next(message.channel for message in track if message.type == "note_on"), port))
    assert on[-2:] == [(9, 0)] * 2
    assert len(set(on)) == 33


def test_unnamed_tracks_are_called_by_their_instrument() -> None:
    assert track_names([voice("", 40), voice("", 0, True), voice("", 40)]) == ["Violin", "Drums", "Violin 2"]
    assert len(INSTRUMENTS) == 128


def test_channels_are_one_a_track_and_repeat_from_the_sixteenth_on() -> None:
    score = piece(*(voice(str(n), n) for n in range(17)), voice("drums", 0, True))
    channels = [
        {m.channel for m in track if not m.is_meta} for track in mido.MidiFile(file=io.BytesIO(dumps(score))).tracks
    ]
    assert channels[1:] == [{c} for c in (*range(9), *range(10, 16), 0, 1, 9)]
    assert "17 pitched tracks share 15" in cautions(score)[0]
    assert cautions(piece(*(voice() for _ in range(15)), voice(is_drum=True))) == []
    assert check(dumps(score)) == []


def test_a_bank_select_stands_before_its_program_change() -> None:
    track = voice(start=480)
    track.controls = [ControlChange(0, 7, 100), ControlChange(240, 0, 1), ControlChange(240, 32, 2)]
    events = [m for m in mido.MidiFile(file=io.BytesIO(dumps(piece(track)))).tracks[1] if not m.is_meta]
    order = [(m.type, getattr(m, "control", None)) for m in events[:4]]
    assert order == [("control_change", 7), ("control_change", 0), ("control_change", 32), ("program_change", None)]


def test_pedals_are_written_once() -> None:
    track = voice()
    track.pedals = [Pedal(0, 480)]
    sustain = [(0, 64, 127), (480, 64, 0)]
    assert _controls(track) == sustain
    track.controls = [ControlChange(*control) for control in sustain]  # as symusic reads a file
    assert _controls(track) == sustain


def _controls(track: Track) -> list[tuple[int, int, int]]:
    return [(c.time, c.number, c.value) for c in parse(dumps(piece(track))).score.tracks[0].controls]


def test_overlapping_notes_are_all_there_the_first_ends_first() -> None:
    track = Track("", 0, False)
    track.notes = [Note(0, 960, 60, 64), Note(480, 960, 60, 80), Note(480, 100, 60, 70), Note(1440, 0, 60, 90)]
    written = parse(dumps(piece(track))).score.tracks[0].notes
    assert sorted((n.time, n.velocity) for n in written) == [(0, 64), (480, 70), (480, 80), (1440, 90)]
    assert sorted(n.time + n.duration for n in written) == [580, 960, 1440, 1441]


def test_a_score_without_notes_is_a_conductor_alone() -> None:
    data = dumps(Score(480), title="Nothing")
    assert check(data) == []
    assert parse(data).title == "Nothing"
    assert len(parse(data).score.tracks) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.tempos.append(Tempo(0, qpm=1)), "tempo 1.00 qpm at tick 0"),
        (lambda s: s.time_signatures.append(TimeSignature(0, 3, 5)), "meter 3/5 at tick 0"),
        (lambda s: s.time_signatures.append(TimeSignature(0, 0, 4)), "meter 0/4 at tick 0"),
        (lambda s: s.markers.append(TextMeta(-5, "early")), "an event at tick -5"),
        (lambda s: s.markers.append(TextMeta(1 << 30, "late")), "more than 10,000 bars"),
    ],
)
def test_what_midi_cannot_say_is_refused(change: object, reason: str) -> None:
    score = piece(voice())
    change(score)  # type: ignore[operator]
    with pytest.raises(LimitExceeded, match=reason.replace("(", r"\(")):
        dumps(score)


@pytest.mark.parametrize("value", [0, 1, 0x7F, 0x80, 0x2000, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000, 0xFFFFFFF])
def test_variable_length_numbers(value: int) -> None:
    assert number_bytes(value) == midi_files.number(value)


def test_nothing_is_overwritten_unasked(tmp_path: object) -> None:
    path = write_midi(piece(voice()), tmp_path / "a.mid")  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(MelodyError, match="exists; choose another name"):
        write_midi(piece(), path)
    assert path.read_bytes() == before
    assert write_midi(piece(), path, force=True).read_bytes() == dumps(piece())


def test_words_for_programs_come_back_and_are_no_plain_text():
    words = Text(0, 'melody {"seed": 7}', SEQUENCER)
    data = dumps(Score(480), texts=[words])
    assert parse(data).texts == (words,)
    assert b"\xff\x7f\x13\x7dmelody" in data  # a sequencer-specific event, which notation programs do not print

"""MusicXML as melody writes it: what comes back when it is read, and whether it looks as an engraver would have it."""

import json
import os
import shutil
import subprocess
import zipfile
from collections import Counter
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from support.short_scores import line, score_of, track, xml
from support.strategies import content, grid_score, scores
from symusic import KeySignature, Note, Tempo, TextMeta, TimeSignature, Track

import melody
from melody.cli.output import Report
from melody.cli.takes import Output, refuse_existing, write_take
from melody.corpus.chorale import read_chorale
from melody.errors import LimitExceeded, MelodyError
from melody.formats import engraving
from melody.formats.engraving import svg_pages, write_svg
from melody.formats.musicxml import parse_musicxml
from melody.formats.musicxml.writer import musicxml_bytes, write_musicxml
from melody.music.quantize import quantize
from melody.music.score import GRID, Score, bars, note_count, notes_of, resample, set_notes

chorale = cache(read_chorale)
CHORALES = ("bach/bwv108.6.mxl", "bach/bwv276.mxl", "bach/bwv227.3.mxl", "bach/bwv248.33-3.mxl")
QUARTERS = {
    name: Fraction(4) / 2**power
    for power, name in enumerate(("breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th"), -1)
}


def without_drum_lengths(score: Score) -> Score:
    """Drums ring as they will: how long a hit is written is a matter of looks. So music may end with its last onset."""
    score = score.copy()
    last = max((note.time for track in score.tracks for note in track.notes), default=0)
    score.tempos = [tempo for tempo in score.tempos if tempo.time <= last]
    score.key_signatures = [key for key in score.key_signatures if key.time <= last]
    for each in score.tracks:
        if each.is_drum and len(each.notes):
            notes = notes_of(each)
            set_notes(each, notes._replace(duration=np.ones_like(notes.duration)))
    return score


# ---- what is written comes back --------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(scores())
def test_what_is_written_comes_back(score: Score) -> None:
    score = without_drum_lengths(score)
    try:
        quantized = quantize(score)
    except LimitExceeded:
        assume(False)
    assume(note_count(quantized))
    reading = parse_musicxml(musicxml_bytes(score, open_score=True))
    assert not reading.repairs
    assert content(without_drum_lengths(quantize(reading.score))) == content(without_drum_lengths(quantized))


@settings(max_examples=40)
@given(scores((24,)))
def test_every_voice_fills_its_bar_with_values_that_exist(score: Score) -> None:
    assume(note_count(score))
    root = xml(score)
    lines = bars(quantize(score))
    for part in root.findall("part"):
        for measure, length in zip(part.findall("measure"), np.diff(lines).tolist(), strict=True):
            by_voice: Counter[str] = Counter()
            for note in measure.findall("note"):
                ticks = int(note.findtext("duration", ""))
                by_voice[note.findtext("voice", "")] += 0 if note.find("chord") is not None else ticks
                kind = note.findtext("type")
                if kind is None:
                    assert (ticks, note.find("rest").get("measure")) == (length, "yes")  # type: ignore[union-attr]
                else:
                    dotted = QUARTERS[kind] * (2 - Fraction(1, 2 ** len(note.findall("dot"))))
                    ratio = Fraction(2, 3) if note.find("time-modification") is not None else 1
                    assert Fraction(ticks, GRID) == dotted * ratio
            assert set(by_voice.values()) == {length}


@pytest.mark.parametrize("name", CHORALES)
def test_chorales_come_back(name: str) -> None:
    score = chorale(name)
    assert content(quantize(parse_musicxml(musicxml_bytes(score, open_score=True)).score)) == content(quantize(score))


@pytest.mark.parametrize("name", CHORALES)
def test_a_chorale_on_two_staves_sounds_the_same(name: str) -> None:
    score = quantize(chorale(name))
    back = resample(parse_musicxml(musicxml_bytes(score)).score, GRID)  # unisons of voices would cut each other short

    def sounding(score: Score) -> set[tuple[int, int]]:
        rows = [row for t in score.tracks for row in zip(*notes_of(t)[:3], strict=True)]
        return {(tick, pitch) for onset, length, pitch in rows for tick in range(onset, onset + length)}

    assert sounding(back) == sounding(score)
    assert content(quantize(back))[1:4] == content(score)[1:4]


def test_names_programs_title_and_exact_tempo_come_back() -> None:
    score = score_of(line(60, 62, name="Flöte <1> & Co.", program=73), line(48, name="Kontrabaß", program=43))
    score.tempos.append(Tempo(0, qpm=91.5))
    reading = parse_musicxml(musicxml_bytes(score, title='A "title" <&>'))
    assert [(t.name, t.program) for t in reading.score.tracks] == [("Flöte <1> & Co.", 73), ("Kontrabaß", 43)]
    assert reading.title == 'A "title" <&>'
    assert [(t.time, round(t.qpm, 2)) for t in reading.score.tempos] == [(0, 91.5)]


def test_the_lowest_pitches_are_written_an_octave_up_as_the_format_has_none_below_c0() -> None:
    score = score_of(line(0, 5, 11, 12))
    assert {note.findtext("octave") for note in xml(score).iter("pitch")} == {"0", "1"}
    assert [note.pitch for note in parse_musicxml(musicxml_bytes(score)).score.tracks[0].notes] == [0, 5, 11, 12]


def test_a_pickup_is_measure_0_in_the_meter_that_follows() -> None:
    measures = xml(chorale("bach/bwv108.6.mxl")).findall("part/measure")
    assert [(m.get("number"), m.get("implicit")) for m in measures[:3]] == [("0", "yes"), ("1", None), ("2", None)]
    assert [m.findtext("attributes/time/beats") for m in measures[:2]] == ["4", None]


# ---- files -----------------------------------------------------------------------------------------------------------


def test_files_are_read_again_packed_and_plain_and_the_same_bytes_come_twice(tmp_path: Path) -> None:
    score = score_of(line(60, 64, 67))
    plain, packed = (write_musicxml(score, tmp_path / name) for name in ("a.musicxml", "a.mxl"))
    assert zipfile.is_zipfile(packed)
    assert content(melody.read(plain)) == content(melody.read(packed))
    assert write_musicxml(score, tmp_path / "b.mxl").read_bytes() == packed.read_bytes()
    with pytest.raises(MelodyError, match="exists"):
        write_musicxml(score, plain)


def test_a_score_without_notes_has_no_page() -> None:
    with pytest.raises(MelodyError, match="without notes"):
        musicxml_bytes(score_of(Track("", 0, False)))


# ---- values ---------------------------------------------------------------------------------------------------------


def beams_of(score: Score) -> list[str]:
    return [beam.text or "" for beam in xml(score).iterfind("part/measure/note/beam[@number='1']")]


def test_eighths_are_beamed_by_halves_or_by_dotted_beats() -> None:
    four, three = ["begin", "continue", "continue", "end"], ["begin", "continue", "end"]
    assert beams_of(score_of(line(*[72] * 8, ticks=12))) == four * 2
    assert beams_of(score_of(line(*[72] * 6, ticks=12), meter=(6, 8))) == three * 2
    assert beams_of(score_of(line(*[72] * 6, ticks=12), meter=(3, 4))) == ["begin", *["continue"] * 4, "end"]
    assert beams_of(score_of(line(*[72] * 7, ticks=12), meter=(7, 8))) == ["begin", "end"] * 2 + three


def test_a_dotted_eighth_and_a_sixteenth_share_a_beam_with_a_hook() -> None:
    notes = xml(score_of(track((0, 18, 72), (18, 6, 74), (24, 72, 72)))).findall("part/measure/note")
    assert [[(b.get("number"), b.text) for b in note.findall("beam")] for note in notes] == [
        [("1", "begin")],
        [("1", "end"), ("2", "backward hook")],
        [],
    ]


def test_a_triplet_has_its_bracket_where_no_beam_holds_it() -> None:
    beamed, open_ = (
        xml(score_of(track(*notes))).findall(".//tuplet")
        for notes in (((0, 8, 72), (8, 8, 74), (16, 8, 76)), ((0, 16, 72), (16, 8, 74)))
    )
    assert [(t.get("type"), t.get("bracket")) for t in beamed] == [("start", "no"), ("stop", None)]
    assert [(t.get("type"), t.get("bracket")) for t in open_] == [("start", "yes"), ("stop", None)]


def test_a_note_over_the_bar_line_is_tied() -> None:
    notes = xml(score_of(track((72, 48, 72)))).findall(".//note[pitch]")
    assert [[tie.get("type") for tie in note.findall("tie")] for note in notes] == [["start"], ["stop"]]


# ---- parts and staves ------------------------------------------------------------------------------------------------


def clefs(score: Score) -> list[str]:
    found = xml(score).iterfind("part/measure/attributes/clef")
    return [
        (c.findtext("sign") or "") + (c.findtext("line") or "") + (c.findtext("clef-octave-change") or "")
        for c in found
    ]


@pytest.mark.parametrize(
    ("pitches", "program", "name", "expected"),
    [
        ((72, 74, 76), 73, "Flute", ["G2"]),
        ((40, 43, 45), 0, "", ["F4"]),
        ((57, 60, 62), 41, "Viola", ["C3"]),
        ((48, 52, 55), 52, "Tenor", ["G2-1"]),
        ((48, 52, 55), 24, "Guitar", ["G2-1"]),
        ((28, 33, 35), 33, "Bass", ["F4-1"]),
        ((43, 48, 50), 42, "Cello", ["F4"]),
        ((62, 64, 65) * 6, 42, "Cello", ["C4"]),  # high passages
        ((100, 103, 105), 72, "Piccolo", ["G21"]),
    ],
)
def test_clefs_follow_range_and_instrument(
    pitches: tuple[int, ...], program: int, name: str, expected: list[str]
) -> None:
    assert clefs(score_of(line(*pitches, program=program, name=name))) == expected


def test_a_clef_changes_where_many_ledger_lines_are_saved() -> None:
    low, high = (40, 43, 45, 47) * 4, (72, 74, 76, 77) * 4
    assert clefs(score_of(line(*low, *high, *low))) == ["F4", "G2", "F4"]
    assert clefs(score_of(line(*low, 60, 62, *low))) == ["F4"]


def test_four_voices_share_two_staves_with_stems_up_and_down() -> None:
    root = xml(chorale("bach/bwv276.mxl"))
    assert len(root.findall("part")) == 1
    stems = {(n.findtext("staff"), n.findtext("voice"), n.findtext("stem")) for n in root.iterfind(".//note[stem]")}
    assert stems == {("1", "1", "up"), ("1", "2", "down"), ("2", "5", "up"), ("2", "6", "down")}
    assert clefs(chorale("bach/bwv276.mxl")) == ["G2", "F4"]
    assert len(xml(chorale("bach/bwv276.mxl"), open_score=True).findall("part")) == 4


def test_a_piano_has_two_staves_and_hands_that_can_play() -> None:
    left, right = (36, 48, 43, 48) * 4, (72, 76, 79, 76) * 4
    notes = [(i * 24, 24, pitch + shift) for i, pitch in enumerate(right) for shift in (0, -8, -12)]
    root = xml(score_of(track(*notes, *((i * 24, 24, pitch) for i, pitch in enumerate(left)))))
    by_staff: dict[str, set[int]] = {"1": set(), "2": set()}
    for note in root.iterfind(".//note[pitch]"):
        by_staff[note.findtext("staff", "")].add(int(note.findtext("pitch/octave", "")))
    assert min(by_staff["1"]) >= 4
    assert max(by_staff["2"]) <= 3


def test_a_melody_over_held_notes_is_two_voices_in_the_bar_that_needs_them() -> None:
    root = xml(score_of(track((0, 96, 60), (0, 24, 72), (24, 72, 74), (96, 96, 72))))
    first, second = root.findall("part/measure")
    assert {n.findtext("voice") for n in first.findall("note")} == {"1", "2"}
    assert {n.findtext("voice") for n in second.findall("note")} == {"1"}
    assert [n.findtext("pitch/octave") for n in first.findall("note[voice='2']")] == ["4"]  # the held note, below


def test_players_of_a_section_and_hands_of_a_keyboard_are_joined() -> None:
    strings = [line(72, program=40), line(67, program=40), line(60, program=41), line(48, program=42)]
    hands = [line(72, name="Piano, right hand"), line(48, name="Piano, left hand")]
    symbols = [e.text for e in xml(score_of(*strings, *hands), open_score=True).iterfind(".//group-symbol")]
    assert symbols == ["bracket", "brace"]


# ---- drums, marks ----------------------------------------------------------------------------------------------------


def beat() -> Track:
    hats = [(i * 12, 3, 42) for i in range(8)]
    return track(*sorted([*hats, (0, 3, 36), (48, 3, 36), (24, 3, 38), (72, 3, 38)]), drums=True, name="Drums")


def test_drums_have_heads_places_and_two_voices() -> None:
    root = xml(score_of(beat()))
    by_instrument = {n.find("instrument").get("id"): n for n in root.iterfind(".//note[instrument]")}  # type: ignore[union-attr]
    hat, kick = by_instrument["P1-I43"], by_instrument["P1-I37"]
    assert (hat.findtext("notehead"), hat.findtext("stem"), hat.findtext("unpitched/display-step")) == ("x", "up", "G")
    assert (kick.findtext("notehead"), kick.findtext("stem"), kick.findtext("type")) == (None, "down", "quarter")
    assert clefs(score_of(beat())) == ["percussion"]
    assert not root.findall(".//tie")
    back = parse_musicxml(musicxml_bytes(score_of(beat()))).score.tracks[0]
    assert back.is_drum
    assert sorted((n.time // 20, n.pitch) for n in back.notes) == sorted((n.time, n.pitch) for n in beat().notes)


def test_markers_are_chord_symbols_or_rehearsal_marks_or_words() -> None:
    chords = score_of(line(*[64] * 8), key=(1, 1))
    chords.markers.extend([TextMeta(t, text) for t, text in ((0, "Em"), (48, "B7/D#"), (96, "N.C."), (156, "Cmaj7"))])
    found = [
        (h.findtext("root/root-step"), h.findtext("kind"), h.findtext("bass/bass-step"))
        for h in xml(chords).iter("harmony")
    ]
    assert found == [("E", "minor", None), ("B", "dominant", "D"), ("C", "none", None), ("C", "major-seventh", None)]
    sections = score_of(line(*[64] * 8))
    sections.markers.extend([TextMeta(0, "Verse"), TextMeta(96, "melody: new music from here on")])
    assert [e.text for e in xml(sections).iter("rehearsal")] == ["Verse"]
    assert [e.text for e in xml(sections).iter("words")] == ["melody: new music from here on"]


def test_syllables_stand_under_their_notes() -> None:
    tune = line(60, 62, 64, 65, 67)
    syllables = ((0, "Mu-"), (25, "si-"), (48, "ca"), (71, "nova"), (200, "?"))
    tune.lyrics.extend([TextMeta(tick, text) for tick, text in syllables])
    notes = xml(score_of(tune)).iterfind(".//note[pitch]")
    found = [tuple(map(note.findtext, ("pitch/step", "lyric/text", "lyric/syllabic"))) for note in notes]
    assert found == [
        ("C", "Mu", "begin"), ("D", "si", "middle"), ("E", "ca", "end"), ("F", "nova", "single"), ("G", None, None),
    ]  # fmt: skip


def test_of_a_tempo_curve_only_what_lasts_is_printed() -> None:
    score = score_of(line(*[64] * 12, ticks=36), meter=(6, 8))
    score.tempos.extend([Tempo(tick, qpm=qpm) for tick, qpm in ((0, 90), (36, 88), (60, 80), (72, 90), (144, 120))])
    root = xml(score)
    assert [e.text for e in root.iter("per-minute")] == ["60", "80"]  # dotted quarters
    assert len(root.findall(".//beat-unit-dot")) == 2
    assert [e.get("tempo") for e in root.iter("sound")] == ["90", "88", "80", "90", "120"]


# ---- other programs --------------------------------------------------------------------------------------------------


def mixed() -> Score:
    """Drums, a piano, a tune with triplets and chord symbols, a key change, a meter change, a pickup."""
    piano = [(24 + i * 24, 24, pitch) for i in range(16) for pitch in (43, 60, 67, 76 - i % 3)]
    tune = [(24 + i * 8, 8, 72 + i % 5) for i in range(24)]
    drums = Track("Drums", 0, True)
    drums.notes.extend([Note(24 + note.time, note.duration, note.pitch, 90) for note in beat().notes])
    score = score_of(
        track(*tune, program=73, name="Flute"), track(*piano, name="Piano"), drums, meter=(1, 4), key=(2, 0)
    )
    score.time_signatures.extend([TimeSignature(24, 4, 4), TimeSignature(216, 3, 4)])
    score.key_signatures.append(KeySignature(216, -3, 1))
    score.tempos.append(Tempo(0, qpm=96))
    score.markers.extend([TextMeta(24, "D"), TextMeta(120, "A7"), TextMeta(132, "Em7b5")])
    return score


def test_music21_reads_the_same_notes(tmp_path: Path) -> None:
    music21 = pytest.importorskip("music21")
    score = mixed()
    stream = music21.converter.parse(write_musicxml(score, tmp_path / "a.musicxml"), forceSource=True)
    flute = stream.parts[0].stripTies().flatten().notes
    flute = [note for note in flute if not isinstance(note, music21.harmony.ChordSymbol)]
    assert [(note.offset * GRID, note.pitch.midi) for note in flute] == [
        (n.time, n.pitch) for n in score.tracks[0].notes
    ]
    assert [c.figure for c in stream.recurse().getElementsByClass("ChordSymbol")] == ["D", "A7", "Eø7"]


def test_musescore_plays_the_same_notes(tmp_path: Path) -> None:
    program = shutil.which("mscore3") or shutil.which("musescore3")
    if program is None:
        pytest.skip("MuseScore 3 is not installed")
    given = {"mixed": mixed(), "chorale": quantize(chorale("bach/bwv276.mxl"))}
    for name, score in given.items():
        write_musicxml(score, tmp_path / f"{name}.musicxml", open_score=True)  # on one channel unisons are one note
    jobs = [{"in": str(tmp_path / f"{name}.musicxml"), "out": str(tmp_path / f"{name}.mid")} for name in given]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [program, "-j", str(tmp_path / "jobs.json")]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    for name, score in given.items():
        played = quantize(melody.read(tmp_path / f"{name}.mid"))
        assert onsets(played) == onsets(score)


def onsets(score: Score) -> set[tuple[int, int, bool]]:
    return {(n.time, n.pitch, t.is_drum) for t in score.tracks for n in t.notes}


def test_verovio_engraves_every_note() -> None:
    pytest.importorskip("verovio")
    score = mixed()
    pages = svg_pages(score, title="Mixed")
    assert "Mixed" in pages[0]
    heads = sum(page.count('class="note"') for page in pages)
    ties = sum(note.find("tie[@type='stop']") is not None for note in xml(score, tidy=True).iter("note"))
    assert heads == note_count(score) + ties
    assert pages == svg_pages(score, title="Mixed")  # the same bytes


def test_long_pieces_take_several_pages(tmp_path: Path) -> None:
    pytest.importorskip("verovio")
    paths = write_svg(score_of(line(*[60, 72] * 400, ticks=12)), tmp_path / "long.svg")
    assert [path.name for path in paths[:2]] == ["long.svg", "long-page2.svg"]
    assert all(path.is_file() for path in paths)
    with pytest.raises(MelodyError, match="exists"):
        write_svg(score_of(line(60)), tmp_path / "long.svg")


def test_without_verovio_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engraving, "find_spec", lambda name: None)
    with pytest.raises(MelodyError, match=r"pip install 'melody\[notation\]'"):
        svg_pages(grid_score((0, 24, 60, 80)))


# ---- beside a take ---------------------------------------------------------------------------------------------------


def test_compose_writes_them_beside_the_midi(tmp_path: Path) -> None:
    pytest.importorskip("verovio")
    (take,) = melody.load("chorale").compose(bars=2, seed=1)
    output = Output(Report(as_json=True), [".musicxml", ".svg", ".dawproject"], None, False)
    files = write_take(output, take, tmp_path / "take.mid", None)
    assert {name: Path(path).name for name, path in files.items()} == {
        "midi": "take.mid",
        "musicxml": "take.musicxml",
        "svg": "take.svg",
        "dawproject": "take.dawproject",
    }
    assert note_count(melody.read(files["musicxml"])) == take.notes


def test_compose_refuses_a_page_before_composing_where_verovio_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engraving, "find_spec", lambda name: None)
    with pytest.raises(MelodyError, match="verovio"):
        refuse_existing(Output(Report(as_json=True), [".svg"], None, False), [tmp_path / "take.mid"])

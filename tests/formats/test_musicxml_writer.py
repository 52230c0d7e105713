"""MusicXML as melody writes it: what comes back when it is read again, here and in other programs."""

import zipfile
from collections import Counter
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.short_scores import line, score_of, xml
from support.strategies import content, scores
from symusic import Tempo, TextMeta, Track

import melody
from melody.corpus.chorale import read_chorale
from melody.errors import LimitExceeded, MelodyError
from melody.formats.musicxml import parse_musicxml
from melody.formats.musicxml.writer import musicxml_bytes, write_musicxml
from melody.music.chords import QUALITIES, Chord
from melody.music.progressions import markers_as_chords
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


def joined(score: Score) -> Score:
    """The score with the parts of the lowest notes back in the tracks that they were taken from."""
    result = score.copy()
    result.tracks = []
    for each in score.tracks:
        if each.name.endswith(" (low)"):
            result.tracks[-1].notes.extend(list(each.notes))
        else:
            result.tracks.append(each)
    return result


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
    back = quantize(joined(reading.score))
    assert content(without_drum_lengths(back)) == content(without_drum_lengths(quantized))


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


def octaves(score: Score) -> set[int]:
    return {int(note.findtext("octave", "")) for note in xml(score).iter("pitch")}


def test_the_lowest_pitches_are_written_an_octave_up_as_the_format_has_none_below_c0() -> None:
    score = score_of(line(0, 5, 11, 12))
    assert octaves(score) == {0, 1}
    assert [note.pitch for note in parse_musicxml(musicxml_bytes(score)).score.tracks[0].notes] == [0, 5, 11, 12]


@pytest.mark.parametrize(
    "pitches", [(0, 67, 69, 71, 72), (0, 127), (11, 60, 119), (11, 119, 120), (12, 127), (0,), (127,)]
)
@pytest.mark.parametrize("key", [None, (7, 0), (-7, 0)])
def test_octaves_lie_from_0_to_9_and_music21_hears_the_same(
    pitches: tuple[int, ...], key: tuple[int, int] | None
) -> None:
    music21 = pytest.importorskip("music21")
    score = score_of(line(*pitches), key=key)
    assert octaves(score) <= set(range(10))
    transposes = [[child.tag for child in element] for element in xml(score).iter("transpose")]
    assert all(tags == ["diatonic", "chromatic", "octave-change"] for tags in transposes)
    stream = music21.converter.parseData(musicxml_bytes(score).decode(), format="musicxml").toSoundingPitch()
    heard = sorted((note.offset * GRID, note.pitch.midi) for note in stream.flatten().notes)
    assert heard == [(GRID * place, pitch) for place, pitch in enumerate(pitches)]
    back = joined(parse_musicxml(musicxml_bytes(score)).score).tracks[0].notes
    assert sorted((note.time, note.pitch) for note in back) == [(480 * place, p) for place, p in enumerate(pitches)]


def test_a_track_of_all_octaves_keeps_its_lowest_notes_in_a_part_of_its_own() -> None:
    score = parse_musicxml(musicxml_bytes(score_of(line(0, 60, 127, name="Keys")))).score
    assert [(t.name, [n.pitch for n in t.notes]) for t in score.tracks] == [("Keys", [60, 127]), ("Keys (low)", [0])]


@given(
    st.lists(
        st.tuples(st.sampled_from(range(12)), st.sampled_from(range(len(QUALITIES))), st.integers(0, 11)), max_size=8
    )
)
def test_chord_markers_come_back(chords: list[tuple[int, int, int]]) -> None:
    score = score_of(line(*[60] * 16))
    names = [Chord(*chord).name for chord in chords]
    score.markers.extend([TextMeta(48 * place, name) for place, name in enumerate(names)])
    back = parse_musicxml(musicxml_bytes(score)).score
    assert [(m.time / 480, m.text) for m in back.markers] == [(2 * place, name) for place, name in enumerate(names)]
    assert [span.chord for span in markers_as_chords(back)] == [span.chord for span in markers_as_chords(score)]


@pytest.mark.parametrize(
    "symbol", ["C6", "Amin7", "F#m7b5/C", "Bb7#11", "Csus2", "C7sus4", "Ebmaj9", "N.C.", "Gadd9", "C6/9"]
)
def test_a_symbol_comes_back_as_it_was_spelled(symbol: str) -> None:
    score = score_of(line(*[60] * 16))
    score.markers.extend([TextMeta(0, "Dm7"), TextMeta(48, symbol)])
    assert [m.text for m in parse_musicxml(musicxml_bytes(score)).score.markers] == ["Dm7", symbol]


def test_a_rehearsal_mark_beside_chords_stays_one() -> None:
    score = score_of(line(*[60] * 16))
    score.markers.extend([TextMeta(0, text) for text in ("[B]", "Dm7")])
    back = parse_musicxml(musicxml_bytes(score)).score
    assert [m.text for m in back.markers] == ["[B]", "Dm7"]
    assert [m.text for m in parse_musicxml(musicxml_bytes(back)).score.markers] == ["[B]", "Dm7"]


syllables = st.text(st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S")), min_size=1, max_size=6)


@given(st.lists(st.lists(syllables, min_size=1, max_size=3), min_size=1, max_size=6))
def test_syllables_come_back(words: list[list[str]]) -> None:
    sung = [
        text.strip("-/\\ @") + ("" if text is word[-1] else "-")
        for word in words
        for text in word
        if text.strip("-/\\ @")
    ]
    assume(sung)
    tune = line(*[60] * len(sung))
    tune.lyrics.extend([TextMeta(GRID * place, text) for place, text in enumerate(sung)])
    back = parse_musicxml(musicxml_bytes(score_of(tune))).score
    assert [(lyric.time // 20, lyric.text) for lyric in back.tracks[0].lyrics] == [
        (GRID * place, text) for place, text in enumerate(sung)
    ]


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[31mred", "\ud800", "tab\there", "\ufffe", "\u202eabc"])
def test_texts_hold_nothing_that_xml_forbids(text: str) -> None:
    def typed(given: str) -> TextMeta:
        return TextMeta(0, given.encode("utf-8", "replace").decode())

    tune = line(60, 62, name=typed(text).text)
    tune.lyrics.append(typed(text))
    score = score_of(tune)
    score.markers.append(typed(text))
    reading = parse_musicxml(musicxml_bytes(score, title=text))
    assert reading.repairs == ()
    assert reading.title.isprintable()


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

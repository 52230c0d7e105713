"""The corpus of lead sheets: what becomes of a tune and its symbols, what is left out, and which sheets are read."""

from pathlib import Path

import numpy as np
import pytest
from support.made_music import CORPORA, one_track, score_of
from symusic import KeySignature, TextMeta

from melody.corpus.lead import name_of, tune_and_chords
from melody.corpus.pieces import LeftOut
from melody.corpus.recipe import load_pieces
from melody.corpus.sources import find_corpus
from melody.music.score import Score, notes_of

BAR = 1920
SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
MINOR = [69, 71, 72, 74, 76, 74, 72, 71]


def sheet(symbols: dict[int, str], pitches: list[int] = SCALE, bars: int = 4) -> Score:
    """A sheet of quarters in C, with symbols at ticks."""
    onset = np.arange(0, bars * BAR, BAR // 4)
    result = score_of(one_track(onset, [pitches[place % len(pitches)] for place in range(len(onset))]))
    result.key_signatures = [KeySignature(0, 0, 0)]
    result.markers = [TextMeta(tick, text) for tick, text in symbols.items()]
    return result


def test_a_chord_lies_over_its_bass_until_the_next_and_is_struck_anew_at_bar_lines() -> None:
    tune, chords = tune_and_chords(sheet({480: "Am", 2 * BAR + 960: "C7/E"})).tracks
    assert (tune.name, tune.program, chords.name, chords.program) == ("Tune", 52, "Chords", 0)
    assert notes_of(tune).pitch[:8].tolist() == SCALE
    found = [(note.time, note.duration, note.pitch) for note in chords.notes]
    am, c7 = (57, 60, 64), (52, 55, 58, 60)
    struck = [(480, BAR - 480, am), (BAR, BAR, am), (2 * BAR, 960, am), (2 * BAR + 960, 960, c7), (3 * BAR, BAR, c7)]
    assert found == [(tick, length, pitch) for tick, length, chord in struck for pitch in chord]


def test_words_and_loudness_go() -> None:
    score = sheet({0: "C", BAR: "G7"})
    for place, note in enumerate(score.tracks[0].notes):
        note.velocity = 20 + place
    score.tracks[0].lyrics = [TextMeta(0, "la")]
    result = tune_and_chords(score)
    assert not result.markers
    assert not any(track.lyrics for track in result.tracks)
    assert [set(notes_of(track).velocity.tolist()) for track in result.tracks] == [{80}, {70}]


@pytest.mark.parametrize(
    ("symbols", "pitches", "key"),
    [
        ({0: "Am", BAR: "E7", 3 * BAR: "Am"}, MINOR, (0, 1)),
        ({0: "Am", BAR: "Dm", 3 * BAR: "E7"}, MINOR, (0, 0)),
        ({0: "C", BAR: "G7", 3 * BAR: "C"}, SCALE, (0, 0)),
    ],
)
def test_the_last_chord_may_confirm_another_key(
    symbols: dict[int, str], pitches: list[int], key: tuple[int, int]
) -> None:
    found = tune_and_chords(sheet(symbols, pitches)).key_signatures
    assert [(one.key, one.tonality) for one in found] == [key]


def test_what_is_more_than_a_tune_or_tells_no_chords_is_left_out() -> None:
    with pytest.raises(LeftOut, match="marks of sections"):
        tune_and_chords(sheet({0: "C", BAR: "F", 2 * BAR: "G"}))
    with pytest.raises(LeftOut, match="marks of sections"):
        tune_and_chords(sheet({}))
    two = sheet({0: "Am"})
    two.tracks.append(one_track([0, 480], 48))
    with pytest.raises(LeftOut, match="more than a tune"):
        tune_and_chords(two)
    chord = sheet({0: "Am"})
    chord.tracks[0].notes[0].duration = BAR
    with pytest.raises(LeftOut, match="more than a tune"):
        tune_and_chords(chord)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("musicxml/Makin_Whoopee.mxl", "Makin_Whoopee"),
        ("OpenEWLD-ec03cbd8/dataset/Gus_Kahn-Walter_Donaldson/Makin'_Whoopee!/Makin'_Whoopee!.mxl", "Makin_Whoopee"),
        ("dataset/[Traditional]/Swing_Low,_Sweet_Chariot/Swing_Low,_Sweet_Chariot.mxl", "Swing_Low_Sweet_Chariot"),
        ("dataset/[Traditional]/À_la_claire_fontaine/À_la_claire_fontaine.mxl", "À_la_claire_fontaine"),
        ("leads/musicxml/M-O-T-H-E-R_A_Word.mxl", "M-O-T-H-E-R_A_Word"),
    ],
)
def test_a_sheet_is_called_the_same_wherever_it_lies(path: str, name: str) -> None:
    assert name_of(path) == name


def test_of_a_repository_only_the_listed_sheets_are_read(tmp_path: Path) -> None:
    for path in ("[Traditional]/Molly_Malone/Molly_Malone", "Irving_Mills/Minnie_the_Moocher/Minnie_the_Moocher"):
        (tmp_path / "dataset" / path).parent.mkdir(parents=True)
        (tmp_path / "dataset" / f"{path}.mxl").touch()
    listed = load_pieces(CORPORA / "lead").split_of
    assert "Molly_Malone" in listed
    assert "Minnie_the_Moocher" not in listed
    found = find_corpus("lead", tmp_path).items(tmp_path)
    assert found == ["dataset/[Traditional]/Molly_Malone/Molly_Malone.mxl"]

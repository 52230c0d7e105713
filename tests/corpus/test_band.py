"""The corpus of bands: which track takes which place, what is left out, and the whole of it where it is at hand."""

from pathlib import Path

import numpy as np
import pytest
from symusic import Note, TimeSignature, Track

from melody.corpus import band, prepare
from melody.corpus.band import band_of
from melody.corpus.pieces import LeftOut, Placed, read_item
from melody.music.roles import copies_of
from melody.music.score import GRID, Score, notes_of
from melody.tokens import EventTokenizer

TPQ = 96
TUNE = [(0, 1, 72), (1, 0.5, 74), (1.5, 0.5, 76), (2, 1.5, 74), (3.5, 0.5, 71)]
CHORDS = [(beat, 0.5, pitch) for beat in (0, 1.5, 2.5) for pitch in (60, 64, 67)]
WALK = [(0, 1, 36), (1, 1, 40), (2, 1, 43), (3, 1, 41)]
HITS = [(0, 0.1, 36), (1, 0.1, 38), (2, 0.1, 36), (3, 0.1, 38)]


def track(rows: list, program: int, name: str = "", drums: bool = False, bars: int = 16, late: float = 0) -> Track:
    result = Track(name, program, drums)
    for bar in range(bars):
        for onset, duration, pitch in rows:
            result.notes.append(Note(int((4 * bar + onset + late) * TPQ), int(duration * TPQ), pitch, 80))
    return result


def score(*tracks: Track) -> Score:
    result = Score(TPQ)
    result.tracks.extend(tracks)
    return result


def filled(found: Score) -> dict[str, int]:
    """The programs of the tracks with notes, by their names."""
    return {one.name: one.program for one in found.tracks if one.notes}


def test_tracks_take_the_places_of_their_roles_in_order() -> None:
    music = score(track(TUNE, 73, "Flute"), track(HITS, 0, drums=True), track(WALK, 33), track(CHORDS, 4))
    found = band_of(music)
    assert filled(found) == {"Drums": 0, "Bass": 33, "Chords": 4, "Lead": 73}
    assert [one.name for one in found.tracks] == [name for name, _, _ in band.PLACES]
    assert found.tpq == GRID
    assert notes_of(found.tracks[4]).onset[:5].tolist() == [int(onset * GRID) for onset, _, _ in TUNE]
    (piece,) = read_item("any", lambda item: {item: Placed(found)}, 6)
    again = EventTokenizer().decode(piece.ids.astype(np.int32))
    assert [len(one.notes) for one in again.tracks] == [len(one.notes) for one in found.tracks]
    assert piece.ranges[5:] == ((0, 127),) * 3


def test_a_second_line_stands_beside_the_fullest_lead() -> None:
    other = [(0.5, 1, 79), (1.5, 0.5, 74), (2, 2, 77)]
    found = band_of(score(track(other, 65), track(TUNE, 73), track(WALK, 33), track(CHORDS, 4)))
    assert filled(found) == {"Bass": 33, "Chords": 4, "Lead": 73, "Second": 65}


@pytest.mark.parametrize(("late", "octave", "bars"), [(0.0, 1, 16), (0.5, 0, 16), (1.0, 0, 12), (0.0, -1, 16)])
def test_an_echo_or_a_doubling_is_a_copy(late: float, octave: int, bars: int) -> None:
    same = [(onset, duration, pitch + 12 * octave) for onset, duration, pitch in TUNE]
    music = score(track(TUNE, 73), track(same, 80, bars=bars, late=late), track(WALK, 33), track(CHORDS, 4))
    assert len(copies_of(music)) == 1
    assert list(filled(band_of(music))) == ["Bass", "Chords", "Lead"]


def test_a_third_above_is_no_copy() -> None:
    above = [(onset, duration, pitch + 4) for onset, duration, pitch in TUNE]
    assert not copies_of(score(track(TUNE, 73), track(above, 73)))


def test_what_is_no_band_is_left_out() -> None:
    with pytest.raises(LeftOut, match="fewer than 3 roles"):
        band_of(score(track(TUNE, 73), track(WALK, 33)))
    loose = [(onset + 0.11 + 0.02 * (place % 3), long, pitch) for place, (onset, long, pitch) in enumerate(TUNE)]
    with pytest.raises(LeftOut, match="off the grid"):
        band_of(score(track(loose, 73), track(loose, 80), track(loose, 4)))


def test_an_empty_set_up_bar_goes_and_a_full_one_stays() -> None:
    music = score(track(TUNE, 73, late=0.5))
    music.time_signatures = [TimeSignature(0, 1, 8), TimeSignature(TPQ // 2, 4, 4)]
    mended = band._mended("any", music)
    assert [(m.time, m.numerator) for m in mended.time_signatures] == [(0, 4)]
    assert mended.tracks[0].notes[0].time == 0
    music.tracks[0].notes.append(Note(0, 10, 60, 80))
    assert band._mended("any", music).time_signatures == music.time_signatures


def test_a_known_meter_replaces_a_missing_one() -> None:
    mended = band._mended("freedoom/d_dm02", score(track(TUNE, 73)))
    assert [(m.time, m.numerator, m.denominator) for m in mended.time_signatures] == [(0, 2, 4), (2 * TPQ, 5, 4)]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("midi/freedoom/d_bunny.mid", "freedoom/d_bunny"),
        ("0/freedoom-d14dbbee/musics/d_bunny.mid", "freedoom/d_bunny"),
        ("1/simutrans-d8c00ef1/simutrans/music/04 - Simutrans B (Theme).mid", "simutrans/04_-_Simutrans_B__Theme_"),
        ("free-music-f6bfe16f/midi/A Memory Away.mid", "helland/A_Memory_Away"),
    ],
)
def test_a_piece_is_called_the_same_wherever_it_lies(path: str, name: str) -> None:
    assert band.name_of(path) == name


@pytest.mark.parametrize(
    ("programs", "style"),
    [
        ((30, 4, 80), "rock"),
        ((80, 38, 4), "electronic"),
        ((40, 60, 0), "orchestral"),
        ((0, 33, 80), "acoustic"),
        ((), "acoustic"),
    ],
)
def test_the_style_is_that_of_the_instruments_that_carry_a_piece(programs: tuple[int, ...], style: str) -> None:
    assert band.style_of(score(track(HITS, 30, drums=True), *(track(TUNE, program) for program in programs))) == style


@pytest.mark.slow
def test_the_whole_corpus_is_what_the_recipe_says(data_folder: Path, tmp_path: Path) -> None:
    report = prepare("band", tmp_path / "store", local=data_folder / "band.tar.xz")
    assert report.pieces == {"train": 159, "valid": 20, "test": 21}
    assert report.differences == []
    assert np.isclose(report.lossless, 1.0)

"""Voice leading, counted by hand on tiny scores, and on Bach against the published figures."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import Note, TimeSignature, Track

from melody.music.key import parse_key
from melody.music.score import GRID, Score, transpose
from melody.music.voice_leading import (
    REST,
    Parallel,
    crossings,
    doubled_leading_notes,
    ends_on_tonic,
    examine,
    is_strong_beat,
    out_of_range,
    parallels,
    report,
    slices,
    voices,
    wide_spacing,
)


def quarters(*lines: list[int | None], meter: tuple[int, int] = (4, 4)) -> Score:
    """Voices in quarters, from the highest to the lowest; None is a rest."""
    score = Score(GRID)
    score.time_signatures.append(TimeSignature(0, *meter))
    for line in lines:
        track = Track("")
        for index, pitch in enumerate(line):
            if pitch is not None:
                track.notes.append(Note(index * GRID, GRID, pitch, 80))
        score.tracks.append(track)
    return score


def found(*lines: list[int | None]) -> list[tuple[int, int, int, int]]:
    return [(p.tick // GRID, p.upper, p.lower, p.interval) for p in parallels(slices(voices(quarters(*lines))))]


def test_two_chords_with_a_parallel_fifth():
    cut = slices(voices(quarters([67, 69], [60, 62])))
    assert parallels(cut) == [Parallel(tick=GRID, upper=0, lower=1, interval=7)]


@pytest.mark.parametrize(
    ("upper", "lower", "interval"),
    [
        ([72, 74], [60, 62], 0),  # octaves
        ([60, 62], [60, 62], 0),  # unisons
        ([79, 72], [60, 53], 7),  # twelfths, by leap
        ([67, 81], [60, 62], 7),  # a fifth, then a twelfth
        ([60, 74], [60, 62], 0),  # unison, then octave
    ],
)
def test_parallels_modulo_the_octave(upper, lower, interval):
    assert found(upper, lower) == [(1, 0, 1, interval)]


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        ([67, 67], [60, 60]),  # nothing moves
        ([67, 69], [60, 60]),  # oblique
        ([67, 74], [60, 55]),  # contrary, fifth to twelfth
        ([67, 69], [60, 65]),  # fifth to third
        ([72, 69], [65, 57]),  # fifth to octave
        ([65, 67], [60, 62]),  # fourths
        ([67, 68], [60, 62]),  # perfect to diminished
        ([67, None, 69], [60, None, 62]),  # a rest between
        ([67, 69, 69], [60, 60, 62]),  # one after the other
    ],
)
def test_no_parallels(upper, lower):
    assert found(upper, lower) == []


def test_repeated_notes_do_not_hide_or_make_parallels():
    assert found([67, 67, 69, 69], [60, 60, 62, 62]) == [(2, 0, 1, 7)]


def test_parallels_between_outer_voices_and_several_at_once():
    assert found([72, 74], [64, 65], [60, 62]) == [(1, 0, 2, 0)]
    assert found([72, 74], [67, 69], [60, 62]) == [(1, 0, 2, 0), (1, 1, 2, 7)]  # 0 over 1 is a fourth


def test_onsets_need_not_be_on_any_grid():
    score = quarters([67, 69], [60, 62])
    for track in score.tracks:
        track.notes[1].time += 1
        track.notes[0].duration += 1
    assert len(parallels(slices(voices(score)))) == 1
    score.tracks[1].notes[1].time += 1  # now the voices move one after the other, over a rest
    assert parallels(slices(voices(score))) == []


def test_overlapping_notes_of_a_voice_end_each_other():
    score = quarters([67, 69], [60, 62])
    score.tracks[0].notes[0].duration = 4 * GRID
    score.tracks[0].notes.append(Note(0, GRID, 64, 80))  # of notes that begin together the highest counts
    assert slices(voices(score)).pitch.tolist() == [[67, 60], [69, 62]]


def test_crossings_and_spacing_count_where_they_begin():
    cut = slices(voices(quarters([67, 62, 62, 67, 62], [64, 64, 64, 64, 64])))
    assert crossings(cut) == 2
    cut = slices(voices(quarters([79, 79, 79, 72], [60, 60, 67, 60], [55, 55, 55, 55], [36, 36, 36, 36])))
    assert wide_spacing(cut) == 1  # 79 over 60, held; the bass may stand as low as it likes


def test_ranges_of_four_voices():
    assert out_of_range(voices(quarters([59, 60, 81, 82], [53] * 4, [69] * 4, [35, 36, 64, 65]))) == 4
    assert out_of_range(voices(quarters([20], [10]))) == 0  # no choir


def test_doubled_leading_notes_in_dominant_chords_of_the_key():
    score = quarters([71, 72, 71], [62, 67, 67], [59, 60, 59], [55, 48, 64])  # V with two thirds, I, iii
    cut = slices(voices(score))
    assert doubled_leading_notes(cut, parse_key("C")) == 1
    assert doubled_leading_notes(cut, parse_key("G")) == 0


@pytest.mark.parametrize(
    ("last", "beats", "expected"),
    [
        ([72, 67, 64, 48], 0, True),
        ([72, 67, 63, 48], 0, True),  # the other mode's third
        ([72, 67, 60, 48], 0, True),  # an open fifth
        ([72, 67, 64, 48], 1, False),  # a weak beat
        ([72, 67, 64, 48], 2, True),
        ([72, 67, 60, 52], 0, False),  # first inversion
        ([71, 67, 62, 55], 0, False),  # the dominant
        ([72, 69, 65, 53], 0, False),  # the subdominant
        ([72, 69, 64, 48], 0, False),  # a sixth too many
    ],
)
def test_ends_on_tonic(last, beats, expected):
    before = [[72, 67, 64, 48], [72, 69, 65, 53], [71, 67, 62, 55], [72, 67, 64, 48], [71, 67, 62, 55]]
    before = [before[i % 5] for i in range(8 + beats - 1)]
    chords = [*before, [71, 67, 62, 55], last]
    assert ends_on_tonic(quarters(*map(list, zip(*chords, strict=True))), parse_key("C")) is expected


def test_a_resting_bass_is_no_root():
    assert not ends_on_tonic(quarters([71], [66], [63], [59, None]), parse_key("C"))
    score = quarters([71, 71], [66, 66], [63, 63], [59, None])
    for track in score.tracks[:3]:
        track.notes[0].duration = 2 * GRID
    assert not ends_on_tonic(score, parse_key("B"))


def test_strong_beats():
    for meter, strong in (((4, 4), {0, 2}), ((3, 4), {0}), ((2, 4), {0}), ((4, 2), {0, 4}), ((6, 4), {0})):
        score = quarters([60], meter=meter)
        bar = meter[0] * 4 // meter[1]
        assert {beat for beat in range(bar) if is_strong_beat(score, (bar + beat) * GRID)} == strong, meter
    pickup = quarters([60])
    pickup.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(GRID, 4, 4)]
    assert is_strong_beat(pickup, GRID)
    assert not is_strong_beat(pickup, 2 * GRID)


pitches = st.lists(st.one_of(st.none(), st.integers(48, 72)), min_size=8, max_size=8)


@given(st.lists(pitches, min_size=1, max_size=4), st.integers(-12, 12))
def test_transposition_changes_no_parallel_and_no_crossing(lines, semitones):
    cut, moved = (slices(voices(s)) for s in (quarters(*lines), transpose(quarters(*lines), semitones)))
    assert parallels(cut) == parallels(moved)
    assert crossings(cut) == crossings(moved)
    assert wide_spacing(cut) == wide_spacing(moved)


@given(st.lists(pitches, min_size=2, max_size=4))
def test_parallels_equal_the_definition_read_literally(lines):
    expected = []
    for t in range(1, 8):
        for i in range(len(lines)):
            for j in range(i + 1, len(lines)):
                (a, b), (c, d) = (lines[i][t - 1], lines[i][t]), (lines[j][t - 1], lines[j][t])
                if None in (a, b, c, d) or a == b or c == d or (b > a) != (d > c):
                    continue
                if (a - c) % 12 == (b - d) % 12 and (a - c) % 12 in (0, 7):
                    expected.append((t, (a - c) % 12))
    assert sorted((t, interval) for t, _, _, interval in found(*lines)) == sorted(expected)


def test_reports_add_up():
    bad, good = quarters([67, 69], [60, 62]), quarters([67, 65], [60, 62])
    result = report([bad, good])
    assert result["parallels"] == 1000 / 8
    assert result["clean"] == 0.5
    assert math.isnan(report([])["clean"])
    assert examine(Score(GRID)).notes == 0
    assert REST not in slices(voices(bad)).pitch


def npz_scores(folder, part: str) -> list[Score]:
    """The chorales of JSB-16, repeated pitches merged into held notes."""
    pieces = np.load(folder / "Jsb16thSeparated.npz", allow_pickle=True, encoding="latin1")[part]
    return [merged(np.nan_to_num(piece.astype(float), nan=REST).astype(int)) for piece in pieces]


def merged(steps: np.ndarray) -> Score:
    score = Score(GRID)
    for line in steps.T:
        track = Track("")
        cuts = np.flatnonzero(np.diff(line, prepend=REST - 1))
        for start, stop in zip(cuts, [*cuts[1:], len(line)], strict=True):
            if line[start] != REST:
                track.notes.append(Note(int(start) * GRID // 4, int(stop - start) * GRID // 4, int(line[start]), 80))
        score.tracks.append(track)
    return score


def test_bachs_figures_on_the_test_chorales(data_folder):
    found = [examine(score) for score in npz_scores(data_folder, "test")]
    assert sum(f.notes for f in found) == 17_525
    assert sum(f.parallels for f in found) == 24  # 1.4 per 1,000 notes
    assert sum(f.parallels == 0 for f in found) == 61  # 79 % of 77


def test_bachs_chorales_of_music21_end_on_the_tonic():
    from music21 import corpus

    from melody.formats.musicxml import from_music21

    for name in ("bwv269", "bwv281", "bwv302", "bwv351", "bwv66.6"):
        score = from_music21(corpus.parse(f"bach/{name}"), name)
        assert ends_on_tonic(score), name
        assert 1000 * examine(score).parallels < 10 * examine(score).notes, name

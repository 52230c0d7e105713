"""Scores: bars cover the music, resolutions convert, transposition returns, and quantisation keeps what it promises."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.strategies import content, grid_score, rows, scores
from symusic import ControlChange, KeySignature, Note, Tempo, TextMeta, TimeSignature, Track

from melody.errors import LimitExceeded
from melody.music.quantize import BAR_UNIT, HIGHEST_TEMPO, LOWEST_TEMPO, quantize, tempo_bin, tempo_of_bin
from melody.music.score import (
    GRID,
    MAX_BARS,
    Notes,
    Score,
    bars,
    clip,
    end_tick,
    meters,
    note_count,
    notes_of,
    resample,
    rescale,
    set_notes,
    shift_signature,
    transpose,
    without_overlaps,
)

SIGNATURES_OF_TWELVE = range(-5, 7)  # the spelling that transposition keeps to


# ---- notes and bars -------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(scores())
def test_notes_go_into_arrays_and_back(score: Score) -> None:
    copy = score.copy()
    for track in copy.tracks:
        set_notes(track, notes_of(track))
    assert content(copy) == content(score)
    assert note_count(score) == sum(len(track.notes) for track in score.tracks)


@settings(max_examples=50)
@given(scores())
def test_no_function_changes_its_argument(score: Score) -> None:
    before = score.copy()
    quantize(score)
    resample(score, 1000)
    clip(score, 0, 1) if end_tick(score) else None
    transpose(score, 0)
    bars(score)
    assert score == before


@settings(max_examples=50)
@given(scores())
def test_bars_cover_the_music_and_not_a_bar_more(score: Score) -> None:
    lines, end = bars(score), end_tick(score)
    assert lines[0] == 0
    assert lines[-1] >= end
    assert (np.diff(lines) >= 0).all()
    assert len(lines) == 1 or lines[-2] < end
    assert {tick for tick, *_ in meters(score) if tick < end} <= set(lines.tolist())


def test_a_bar_line_that_rounding_brings_to_the_end_is_the_last() -> None:
    score = Score(1)
    score.time_signatures = [TimeSignature(0, 7, 8)]  # lines at 3.5 and 7 quarters
    track = Track("", 0, False)
    set_notes(track, Notes(*(np.array([value]) for value in (0, 4, 60, 80))))
    score.tracks.append(track)
    assert bars(score).tolist() == [0, 4]


@settings(max_examples=50)
@given(scores((480, 960)))
def test_bars_are_those_one_counts_one_by_one(score: Score) -> None:
    expected, tick = [0], 0
    changes = [change for change in meters(score) if change[0] < end_tick(score)]  # a later one is not music any more
    while tick < end_tick(score):
        meter = [m for m in changes if m[0] <= tick][-1]
        full = tick + Fraction(4 * score.tpq * meter[1], meter[2])
        tick = min([full, *(c[0] for c in changes if c[0] > tick)])
        expected.append(int(tick))
    assert bars(score).tolist() == expected


def test_a_pickup_is_a_short_first_bar() -> None:
    score = grid_score((0, 240, 60, 80))
    score.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(GRID, 4, 4)]
    assert bars(score).tolist() == [0, 24, 120, 216, 312]


def test_bars_of_a_meter_that_does_not_fit_the_resolution_do_not_drift() -> None:
    score = Score(10)
    score.time_signatures = [TimeSignature(0, 5, 16)]  # 12.5 ticks
    assert bars(score, 1000)[-1] == 1000


def test_a_score_without_notes_has_no_bars() -> None:
    assert bars(Score(480)).tolist() == [0]
    assert end_tick(Score(480)) == 0


def test_a_far_away_note_is_refused_by_name() -> None:
    allowed = grid_score((MAX_BARS * 96 - 1, 1, 60, 80))
    assert len(bars(allowed)) == MAX_BARS + 1
    beyond = grid_score((MAX_BARS * 96, 1, 60, 80))
    with pytest.raises(LimitExceeded, match=r"more than 10,000 bars; remove the event that lies far away"):
        bars(beyond)


def test_a_note_beyond_all_numbers_is_refused_by_name() -> None:
    score = Score(1)
    score.tracks.append(Track(""))
    score.tracks[0].notes.append(Note(178_956_971, 1, 60, 80))  # 2**32 + 8 ticks of the grid
    with pytest.raises(LimitExceeded):
        quantize(score)


def test_a_meter_without_length_is_refused_by_name() -> None:
    score = grid_score((0, 24, 60, 80))
    score.time_signatures = [TimeSignature(0, 0, 4)]
    with pytest.raises(LimitExceeded, match="meter 0/4"):
        bars(score)


# ---- resolutions ----------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(scores(), st.integers(2, 40))
def test_resampling_to_a_multiple_and_back_is_exact(score: Score, factor: int) -> None:
    assume(all(n.duration for t in score.tracks for n in t.notes))
    assert content(resample(resample(score, score.tpq * factor), score.tpq)) == content(score)


@settings(max_examples=50)
@given(scores(), st.sampled_from((24, 480, 1000)))
def test_resampling_rounds_onsets_and_ends_half_up(score: Score, tpq: int) -> None:
    def rounded(ticks: int) -> int:
        return math.floor(Fraction(ticks * tpq, score.tpq) + Fraction(1, 2))

    assume(tpq != score.tpq)
    for old, new in zip(score.tracks, resample(score, tpq).tracks, strict=True):
        assert rows(new) == [
            (rounded(on), max(1, rounded(on + length) - rounded(on)), pitch, velocity)
            for on, length, pitch, velocity in rows(old)
        ]


def test_resampling_moves_every_kind_of_event() -> None:
    score = grid_score((24, 24, 60, 80))
    score.tempos = [Tempo(48, qpm=90), Tempo(7, qpm=80)]  # not in order
    score.markers.append(TextMeta(12, "here"))
    score.tracks[0].controls = [ControlChange(36, 7, 100)]
    result = resample(score, 480)
    assert [t.time for t in result.tempos] == [960, 140]
    assert result.markers[0].time == 240
    assert result.tracks[0].controls[0].time == 720


@given(st.integers(0, 10**9), st.integers(1, 2000), st.integers(1, 2000))
def test_rescale_is_exact_for_numbers_and_arrays(ticks: int, old: int, new: int) -> None:
    expected = math.floor(Fraction(ticks * new, old) + Fraction(1, 2))
    assert rescale(ticks, old, new) == expected
    assert rescale(np.array([ticks]), old, new).tolist() == [expected]


# ---- transposition --------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(scores(), st.integers(-20, 20))
def test_transposing_there_and_back_changes_nothing(score: Score, semitones: int) -> None:
    pitched = [n.pitch for t in score.tracks if not t.is_drum for n in t.notes]
    assume(all(0 <= pitch + semitones <= 127 for pitch in pitched))
    assume(all(key.key in SIGNATURES_OF_TWELVE for key in score.key_signatures))
    moved = transpose(score, semitones)
    assert transpose(moved, -semitones) == score
    assert [n.pitch for t in moved.tracks if not t.is_drum for n in t.notes] == [p + semitones for p in pitched]
    for old, new in zip(score.tracks, moved.tracks, strict=True):
        assert not old.is_drum or old == new


@settings(max_examples=50)
@given(scores())
def test_no_transposition_is_the_score_itself(score: Score) -> None:
    assert transpose(score, 0) == score


@pytest.mark.parametrize(("sharps", "semitones", "expected"), [(0, 7, 1), (0, 5, -1), (-1, 2, 1), (6, 1, 1), (0, 6, 6)])
def test_signatures_move_along_the_circle_of_fifths(sharps: int, semitones: int, expected: int) -> None:
    assert shift_signature(sharps, semitones) == expected
    assert shift_signature(sharps, semitones + 12) == expected


def test_leaving_the_midi_range_is_refused_by_name() -> None:
    score = grid_score((0, 24, 126, 80))
    score.tracks[0].name = "Flute"
    assert notes_of(transpose(score, 1).tracks[0]).pitch.tolist() == [127]
    with pytest.raises(LimitExceeded, match=r"track 'Flute': \+2 semitones leave"):
        transpose(score, 2)
    assert transpose(grid_score((0, 24, 126, 80), drums=True), 50).note_num() == 1


# ---- clips ----------------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(scores().map(quantize), st.data())
def test_a_clip_holds_the_notes_and_bars_of_its_place(score: Score, data: st.DataObject) -> None:
    lines = bars(score)
    assume(len(lines) > 1)
    first = data.draw(st.integers(0, len(lines) - 2))
    last = data.draw(st.integers(first + 1, len(lines)))  # one bar past the end is allowed
    result = clip(score, first, last)
    start, stop = int(lines[first]), int(lines[min(last, len(lines) - 1)])
    assert len(result.tracks) == len(score.tracks)
    for old, new in zip(score.tracks, result.tracks, strict=True):
        assert (new.name, new.program, new.is_drum) == (old.name, old.program, old.is_drum)
        assert rows(new) == [
            (on - start, min(length, stop - on), pitch, velocity)
            for on, length, pitch, velocity in rows(old)
            if start <= on < stop
        ]
    expected = [line - start for line in lines.tolist() if start <= line <= stop]
    assert bars(result, stop - start).tolist() == expected


def test_a_clip_begins_with_what_is_in_force() -> None:
    score = grid_score((0, 24, 60, 80), (3 * 72, 24, 62, 80))
    score.time_signatures = [TimeSignature(0, 3, 4)]
    score.tempos = [Tempo(0, qpm=60), Tempo(30, qpm=90), Tempo(150, qpm=100)]
    score.key_signatures = [KeySignature(0, 2, 0), KeySignature(72, -1, 1)]
    score.markers.extend([TextMeta(0, "A"), TextMeta(72, "B"), TextMeta(80, "C"), TextMeta(216, "D")])
    result = clip(score, 1, 3)
    assert [(c.time, c.numerator, c.denominator) for c in result.time_signatures] == [(0, 3, 4)]
    assert [(t.time, round(t.qpm)) for t in result.tempos] == [(0, 90), (78, 100)]
    assert [(k.time, k.key, k.tonality) for k in result.key_signatures] == [(0, -1, 1)]
    assert [(m.time, m.text) for m in result.markers] == [(0, "B"), (8, "C")]


@settings(max_examples=50)
@given(scores((24,)))
def test_clipping_all_bars_changes_no_note(score: Score) -> None:
    lines = bars(score)
    assume(len(lines) > 1)
    whole = clip(score, 0, len(lines) - 1)
    assert [rows(t) for t in whole.tracks] == [rows(t) for t in score.tracks]
    assert content(quantize(whole)) == content(quantize(score))


# ---- the model's view -----------------------------------------------------------------------------------------------


@given(scores())
def test_a_quantised_score_is_its_own_quantisation(score: Score) -> None:
    once = quantize(score)
    assert content(quantize(once)) == content(once)


def naive_notes(score: Score, track: Track) -> set[tuple[int, int, int, int]]:
    """Notes on the grid, worked out one by one in fractions."""

    def grid(ticks: int) -> int:
        return math.floor(Fraction(ticks * GRID, score.tpq) + Fraction(1, 2))

    longest: dict[tuple[int, int], tuple[int, int]] = {}
    for onset, length, pitch, velocity in rows(track):
        place = (grid(onset), pitch)
        bin_ = max(velocity, 1) // 4 * 4 + 2
        longest[place] = max(longest.get(place, (0, 0)), (max(1, grid(onset + length) - grid(onset)), bin_))
    result = set()
    for (onset, pitch), (length, velocity) in longest.items():
        following = [on for on, other in longest if other == pitch and on > onset]
        result.add((onset, min([length, *(on - onset for on in following)]), pitch, velocity))
    return result


@given(scores())
def test_quantising_keeps_every_note_worked_out_by_hand(score: Score) -> None:
    result = quantize(score)
    sources = [track for track in score.tracks if len(track.notes)]
    assert [(t.program, t.is_drum) for t in result.tracks] == [
        (0 if t.is_drum else t.program, t.is_drum) for t in sources
    ]
    for source, track in zip(sources, result.tracks, strict=True):
        assert set(rows(track)) == naive_notes(score, source)
        assert [(r[0], r[2]) for r in rows(track)] == sorted((r[0], r[2]) for r in rows(track))


@given(scores())
def test_quantised_meters_make_whole_bars_at_the_old_bar_lines(score: Score) -> None:
    result = quantize(score)
    end = max(1, end_tick(result))
    lines = bars(result, end)
    full = {(n, d): 4 * GRID * n // d for _, n, d in meters(result)}
    changes = meters(result)
    for start, stop in zip(lines.tolist(), lines[1:].tolist(), strict=False):
        _, numerator, denominator = [c for c in changes if c[0] <= start][-1]
        assert stop - start == full[numerator, denominator], "a bar is cut short"
        assert (stop - start) % BAR_UNIT == 0
    snapped = score.copy()
    for change in snapped.time_signatures:
        change.time = BAR_UNIT * rescale(change.time, score.tpq, GRID // BAR_UNIT)
    snapped.tpq = GRID
    assert bars(snapped, end).tolist() == lines.tolist()


@given(scores())
def test_quantised_tempos_and_keys_change_where_they_differ(score: Score) -> None:
    result = quantize(score)
    assert result.tempos[0].time == 0
    final = bars(result, max(1, end_tick(result)))[-1]
    for events, value in (
        (result.tempos, lambda t: t.mspq),
        (result.key_signatures, lambda k: (k.key, k.tonality)),
        (result.time_signatures, lambda c: (c.numerator, c.denominator)),
    ):
        assert all(value(a) != value(b) and a.time < b.time for a, b in pairwise(events))
        assert all(event.time < final for event in events)


def test_the_tempo_in_force_is_kept() -> None:
    score = grid_score((0, 96, 60, 80))
    score.tempos = [Tempo(48, qpm=61), Tempo(48, qpm=89.9)]  # the last of one tick counts
    assert [(t.time, round(t.qpm)) for t in quantize(score).tempos] == [(0, 120), (48, 90)]


def test_a_bar_cut_short_gets_a_meter_of_its_own() -> None:
    score = grid_score((0, 400, 60, 80))
    score.time_signatures = [TimeSignature(0, 4, 4), TimeSignature(96 + 36, 3, 4)]
    expected = [(0, 4, 4), (96, 3, 8), (132, 3, 4)]
    assert [(c.time, c.numerator, c.denominator) for c in quantize(score).time_signatures] == expected


@pytest.mark.parametrize(("numerator", "denominator"), [(7, 64), (97, 32), (1, 64)])
def test_meters_off_the_grid_are_refused_by_name(numerator: int, denominator: int) -> None:
    score = grid_score((0, 24, 60, 80))
    score.time_signatures = [TimeSignature(0, numerator, denominator)]
    with pytest.raises(LimitExceeded, match=rf"meter {numerator}/{denominator} at tick 0: a bar must be a whole"):
        quantize(score)


@pytest.mark.parametrize(
    ("meter", "expected"),
    [((14, 4), (7, 4)), ((13, 4), (13, 8)), ((15, 4), (5, 4)), ((25, 8), (5, 8)), ((4, 1), (8, 4)), ((12, 4), (12, 4))],
)
def test_bars_too_long_for_the_grid_are_divided(meter: tuple[int, int], expected: tuple[int, int]) -> None:
    score = grid_score((0, 800, 60, 80))
    score.time_signatures = [TimeSignature(0, *meter)]
    quantized = quantize(score)
    assert [(c.time, c.numerator, c.denominator) for c in quantized.time_signatures] == [(0, *expected)]
    assert set(bars(score).tolist()) - {int(bars(score)[-1])} <= set(bars(quantized).tolist())  # no bar line is lost


def test_meters_after_the_last_note_do_not_matter() -> None:
    score = grid_score((0, 24, 60, 80))
    score.time_signatures = [TimeSignature(0, 4, 4), TimeSignature(960, 13, 4)]
    assert len(quantize(score).time_signatures) == 1


@settings(max_examples=50)
@given(scores())
def test_no_pitch_sounds_twice_at_once(score: Score) -> None:
    for track in score.tracks:
        notes = without_overlaps(notes_of(track))
        for pitch in set(notes.pitch.tolist()):
            same = notes.take(notes.pitch == pitch)
            assert (np.diff(same.onset) > 0).all()
            assert (same.onset[1:] >= (same.onset + same.duration)[:-1]).all()
        assert {(n.time, n.pitch) for n in track.notes} == set(
            zip(notes.onset.tolist(), notes.pitch.tolist(), strict=True)
        )


@given(st.floats(1, 5000))
def test_tempo_bins_are_about_six_percent_wide(qpm: float) -> None:
    index = tempo_bin(qpm)
    assert 0 <= index <= HIGHEST_TEMPO - LOWEST_TEMPO
    assert tempo_bin(tempo_of_bin(index)) == index
    if 15 <= qpm <= 480:
        assert abs(math.log2(tempo_of_bin(index) / qpm)) <= 1 / 24 + 1e-3


def test_every_tempo_bin_survives_midis_microseconds() -> None:
    for index in range(HIGHEST_TEMPO - LOWEST_TEMPO + 1):
        assert tempo_bin(Tempo(0, qpm=tempo_of_bin(index)).qpm) == index
    assert tempo_of_bin(tempo_bin(120)) == 120

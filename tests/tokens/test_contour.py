"""Contours: levels of the tune in halves of bars, beside its own middle, whatever key it is in."""

import numpy as np
import pytest
from symusic import TimeSignature, Track

from melody.music.score import GRID, Notes, Score, set_notes, transpose
from melody.tokens.contour import EDGES, LEVELS, contour_of, curve_of, drawn_along, levels, means

BAR = 4 * GRID


def tune(*pitches: int, length: int = GRID, meter: tuple[int, int] = (4, 4)) -> Score:
    score, track = Score(GRID), Track("", 0)
    score.time_signatures = [TimeSignature(0, *meter)]
    onset = np.arange(len(pitches)) * length
    set_notes(track, Notes(onset, np.full(len(onset), length), np.array(pitches), np.full(len(onset), 80)))
    score.tracks.append(track)
    return score


def test_each_half_of_a_bar_has_a_level_beside_the_middle() -> None:
    found = contour_of(tune(60, 60, 64, 64, 72, 72, 64, 64))  # the middle is 65
    assert len(found) == 2 * BAR
    assert [len(set(part)) for part in np.split(found, 4)] == [1, 1, 1, 1]
    assert found[:: 2 * GRID].tolist() == [3, 5, 10, 5]


def test_bars_of_three_are_not_halved() -> None:
    assert contour_of(tune(60, 62, 64, 72, 71, 69, meter=(3, 4)))[:: 3 * GRID].tolist() == [4, 8]


def test_levels_stay_where_a_tune_is_transposed_and_reach_from_one_to_all() -> None:
    score = tune(60, 67, 64, 62, 79, 76, 72, 50)
    assert (contour_of(score) == contour_of(transpose(score, -7))).all()
    assert levels(np.array([0.0, 40.0])).tolist() == [1, LEVELS]
    assert levels(np.array([7.0, 7.0])).tolist() == [len(EDGES) // 2 + 1] * 2


def test_without_a_tune_nothing_is_said() -> None:
    score = tune()
    assert not contour_of(score).any()


def test_a_rest_keeps_the_pitch_before_it() -> None:
    line = Notes(np.array([2, 6]), np.array([1, 1]), np.array([60, 65]), np.array([80, 80]))
    assert curve_of(line, 8).tolist() == [60, 60, 60, 60, 60, 60, 65, 65]


@pytest.mark.parametrize("start", [0, 960])
def test_a_line_is_stretched_over_the_steps(start: int) -> None:
    edges = start + np.arange(5) * 48
    assert drawn_along([0, 12], edges) == pytest.approx([1.5, 4.5, 7.5, 10.5], abs=0.05)
    assert drawn_along([0, 12, 0], edges) == pytest.approx([3, 9, 9, 3], abs=0.1)
    assert means(np.arange(4.0), np.array([0, 1, 4])).tolist() == [0, 2]

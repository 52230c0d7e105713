"""Rewards on music whose worth is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from symusic import KeySignature, TimeSignature, Track

from melody.bundle import TrackInfo
from melody.evaluation.rewards import REACH, REWARDS, Composed
from melody.music.originality import build
from melody.music.score import GRID, Notes, Score, set_notes
from melody.tokens import EventTokenizer
from melody.tokens.plan import FIRST, NEW, FormPlan, Symbol, bars_of

BAR = 4 * GRID


def score_of(*lines: Sequence[int], drums: bool = False, step: int = GRID) -> Score:
    """Lines of quarters, or other steps; 0 is a rest."""
    score = Score(GRID)
    score.time_signatures, score.key_signatures = [TimeSignature(0, 4, 4)], [KeySignature(0, 0, 0)]
    for line in lines:
        track, pitch = Track("", 0, drums), np.array(line)
        onset = np.flatnonzero(pitch) * step
        set_notes(track, Notes(onset, np.full(len(onset), step), pitch[pitch > 0], np.full(len(onset), 80)))
        score.tracks.append(track)
    return score


def composed(score: Score, first: int = 0, **changes: Any) -> Composed:
    ids = EventTokenizer().encode(score)
    bars, pickup = bars_of(ids.tolist())
    tracks = [TrackInfo("", 0, track.is_drum, 40, 80, 60.0, 4) for track in score.tracks]
    return Composed(EventTokenizer().decode(ids), bars, pickup, first, True, tracks, **changes)


def earned(name: str, piece: Composed) -> list[tuple[int | None, float]]:
    return [(tick, pytest.approx(value)) for tick, value in REWARDS[name](piece)]  # type: ignore[misc]


def test_parallels_are_counted_where_they_sound_in_new_bars():
    piece = score_of([67, 69, 67, 67, 67, 69, 69, 69], [60, 62, 60, 60, 60, 62, 62, 62])
    assert earned("voice_leading", composed(piece)) == [(GRID, -1), (2 * GRID, -1), (5 * GRID, -1)]
    assert earned("voice_leading", composed(piece, first=1)) == [(5 * GRID, -1)]


@pytest.mark.parametrize(
    ("last", "worth"),
    [((64, 48), 1), ((64, 55), 0), ((65, 53), 0)],  # C over C; over G; another chord
)
def test_an_ending_on_the_tonic_is_worth_one(last: tuple[int, int], worth: int):
    top, bottom = last
    piece = score_of([65, 64, 62, 62, top], [53, 48, 55, 55, bottom])
    assert earned("ending", composed(piece)) == [(BAR, 1)] * worth
    assert earned("ending", Composed(**{**vars(composed(piece)), "closes": False})) == []


def test_cadences_at_phrase_ends_count_one_in_four_bars():
    half = 2 * GRID
    chords = [(71, 67, 62, 43), (72, 67, 64, 48)] * 4  # G C G C ..., each a half: the tune's notes are long
    lines = list(zip(*chords, strict=True))
    found = REWARDS["cadence"](composed(score_of(*lines, step=half)))
    assert found == [(half, 1.0)]
    assert REWARDS["cadence"](composed(score_of(*lines))) == []  # quarters end no phrase


def test_notes_beyond_the_range_of_a_track_cost():
    assert earned("range", composed(score_of([60, 81, 39, 80]))) == [(GRID, -1), (2 * GRID, -1)]
    assert earned("range", composed(score_of([36, 81, 39, 35], drums=True))) == []


def test_a_bar_is_worth_its_likeness_to_the_plan():
    a, b = [60, 62, 64, 65], [67, 69, 71, 72]
    plan = FormPlan((FIRST, NEW, Symbol(2, 4), Symbol(2, 4)))
    assert [value for _, value in earned("form", composed(score_of(a + b + a + b), form=plan))] == [1, 1, 1, 1]
    found = earned("form", composed(score_of(a + a + b + b), form=plan))
    assert [value for _, value in found] == [1, 0, 0, 0]  # new, but said again; and the wrong bars return
    assert found[1][0] == 2 * BAR - 1
    assert earned("form", composed(score_of(a + b))) == []  # no plan


def test_a_groove_that_goes_on_and_fills_every_fourth_bar_is_worth_most():
    beat, fill = [36, 38, 36, 38], [36, 45, 45, 45]
    steady = composed(score_of(beat * 3 + fill, drums=True))
    wild = composed(score_of([*beat, *[38, 36, 38, 36], *fill, *beat], drums=True))
    worth = [sum(value for _, value in REWARDS["groove"](one)) for one in (steady, wild)]
    assert worth[0] > worth[1] + 1
    stuck = composed(score_of(beat * 4, drums=True))
    assert sum(value for _, value in REWARDS["groove"](stuck)) <= 6 * 0.5  # no more for never changing


def test_passages_of_the_training_music_cost_where_they_are_complete():
    line = [60, 62, 64, 65, 67, 69, 71, 72, 74]
    index = build([("one", score_of(line))])
    assert earned("originality", composed(score_of(line), index=index)) == [(8 * GRID, -1)]
    assert earned("originality", composed(score_of(line), first=2, index=index)) == [(8 * GRID, -1)]
    assert earned("originality", composed(score_of(line[::-1]), index=index)) == []
    assert earned("originality", composed(score_of(line))) == []  # nothing is known of the training music


def test_what_reaches_less_far_is_a_reward():
    assert REACH.keys() <= REWARDS.keys()
    assert all(0 < bars < 1 for bars in REACH.values())

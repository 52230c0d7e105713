"""Hearing: what hands play, on the grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melody.music.score import GRID, bars

mido = pytest.importorskip("mido")
from support.live_fakes import as_notes, off, on  # noqa: E402

from melody.live.transcribe import MOST_HEARD, Ear, HeardNote, quantized_onsets, score_of  # noqa: E402


@pytest.mark.parametrize(
    ("played", "meant"),
    [
        ([0.4, 5.5, 12.6, 18.3], [0, 6, 12, 18]),  # sixteenths
        ([0.4, 8.6, 15.5], [0, 8, 16]),  # a triplet
        ([23.2, 32.4, 39.3, 48.5], [24, 32, 40, 48]),  # one that begins a little early
        ([0, 15.3, 24.4, 39.8], [0, 16, 24, 40]),  # swung quavers
        ([0, 11.2, 24, 31.6, 40.2], [0, 12, 24, 32, 40]),  # straight, then a triplet
        ([-0.9, 7], [0, 6]),  # one onset between both is no triplet
    ],
)
def test_hands_are_heard_as_they_were_meant(played: list[float], meant: list[int]):
    assert quantized_onsets(np.array(played)).tolist() == meant


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(-1.1, 1.1)), min_size=1, max_size=20))
def test_sixteenths_within_a_hundredth_of_a_second_come_back(notes: list[tuple[int, float]]):
    """1.1 ticks are 23 ms at 120."""
    meant = np.array([6 * slot for slot, _ in notes])
    played = meant + np.array([error for _, error in notes])
    heard = quantized_onsets(played)
    assert (np.abs(heard - meant) <= 2).all()  # a slot may be taken for a triplet's, when it alone is there
    whole = np.unique(meant // GRID)[np.bincount(meant // GRID)[np.unique(meant // GRID)] > 0]
    for quarter in whole:
        here = meant // GRID == quarter
        if {0, 6, 12, 18} <= set((meant[here] % GRID).tolist()):
            assert (heard[here] == meant[here]).all()


def test_an_ear_hears_what_begins_in_a_call():
    ear = Ear()
    for tick, message in [(0, on(50)), (100, off(50)), (1915, on(60, 2, 70)), (2410, off(60, 2)), (2880, on(64))]:
        assert ear.hear(message, tick) == (message.type == "note_on")
    assert not ear.hear(on(67, velocity=0), 2900)
    assert ear.tones(1920, 3840) == [HeardNote(2, 96, 24, 60, 70), HeardNote(0, 144, 48, 64, 80)]  # the last is held
    score, channels = score_of(ear.tones(1920, 3840), 96, (4, 4), 90)
    assert channels == [0, 2]
    assert [(n.onset, n.pitch) for t in score.tracks for n in as_notes(t)] == [(48, 64), (0, 60)]
    assert len(bars(score)) - 1 == 1


def test_an_ear_keeps_a_bounded_number_of_notes_and_makes_room():
    ear = Ear()
    for tick in range(3 * MOST_HEARD):
        ear.hear(on(tick % 100), tick)
    assert ear.is_full
    assert len(ear.tones(0, 10 * MOST_HEARD)) == MOST_HEARD
    ear.forget(MOST_HEARD - 10)
    assert not ear.is_full
    assert ear.hear(on(60), 4 * MOST_HEARD)
    assert len(ear.tones(0, 10 * MOST_HEARD)) == 11

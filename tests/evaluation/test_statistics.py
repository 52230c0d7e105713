"""Statistics equal MusPy's where it has them, count by hand where it has not; and two distributions overlap or not."""

import math
import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, TimeSignature, Track

from melody.evaluation.compare import overlap, overlapped_area
from melody.evaluation.statistics import (
    empty_beat_rate,
    groove_consistency,
    longest_empty_run,
    longest_pitch_run,
    note_density,
    pitch_class_entropy,
    pitch_range,
    polyphony,
    repetition,
    scale_consistency,
    statistics,
)
from melody.music.score import GRID, Score, notes_of, resample

SIXTEENTH = GRID // 4


def make(*tracks: list[tuple[int, int, int]], drums: int | None = None, meter: tuple[int, int] = (4, 4)) -> Score:
    """Tracks of (onset, duration, pitch) in sixteenths."""
    score = Score(GRID)
    score.time_signatures.append(TimeSignature(0, *meter))
    for index, notes in enumerate(tracks):
        track = Track("", 0, index == drums)
        for onset, duration, pitch in notes:
            track.notes.append(Note(onset * SIXTEENTH, duration * SIXTEENTH, pitch, 80))
        score.tracks.append(track)
    return score


@pytest.fixture(scope="module")
def muspy():
    with warnings.catch_warnings():  # its dependencies warn on import
        warnings.simplefilter("ignore")
        import muspy
    return muspy


def to_muspy(muspy, score: Score):
    """The same notes on the grid of sixteenths."""
    grid = resample(score, 4)
    tracks = []
    for track in grid.tracks:
        onset, duration, pitch, velocity = (column.tolist() for column in notes_of(track))
        notes = [muspy.Note(*values) for values in zip(onset, pitch, duration, velocity, strict=True)]
        tracks.append(muspy.Track(is_drum=track.is_drum, notes=notes))
    return muspy.Music(resolution=4, tracks=tracks)


notes = st.lists(st.tuples(st.integers(0, 80), st.integers(1, 20), st.integers(30, 90)), min_size=1, max_size=25)


@settings(max_examples=100)
@given(st.lists(notes, min_size=1, max_size=3), st.booleans(), st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 8)]))
def test_equal_to_muspy(muspy, tracks, drums, meter):
    score = make(*tracks, drums=1 if drums and len(tracks) > 1 else None, meter=meter)
    music = to_muspy(muspy, score)
    pairs = [
        (pitch_class_entropy(score), muspy.pitch_class_entropy(music)),
        (scale_consistency(score), muspy.scale_consistency(music)),
        (groove_consistency(score), muspy.groove_consistency(music, 16 * meter[0] // meter[1])),
        (polyphony(score), muspy.polyphony(music)),
        (pitch_range(score), muspy.pitch_range(music)),
        (empty_beat_rate(score), muspy.empty_beat_rate(music)),
    ]
    ours, theirs = zip(*pairs, strict=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_resolution_does_not_matter():
    score = make([(0, 4, 60), (4, 2, 64), (6, 10, 67), (20, 4, 60)], [(0, 16, 48)])
    assert statistics(resample(score, 480)) == pytest.approx(statistics(score))


def test_without_notes_nothing_is_invented():
    values = statistics(Score(GRID))
    assert values.pop("longest empty run") == 0
    assert all(math.isnan(value) for value in values.values())


def test_groove_leaves_the_pickup_out():
    score = make([(0, 4, 60), *((4 + onset, 4, 60) for onset in range(0, 44, 4))])
    score.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(GRID, 4, 4)]
    assert groove_consistency(score) == pytest.approx(1 - 1 / 32)  # the last beat is missing in the third full bar


def test_repeated_bars():
    bar = [(0, 4, 60), (8, 4, 64)]
    later = [(16 + onset, duration, pitch) for onset, duration, pitch in bar]
    other = [(32, 4, 60), (40, 4, 65)]
    assert repetition(make([*bar, *later, *other])) == pytest.approx(1 / 3)
    assert repetition(make([*bar, *other])) == 0
    assert repetition(make([*bar, *reversed(later)])) == 0.5  # the order of a file's notes says nothing
    assert repetition(make(bar, later)) == 0  # the other track plays it


def test_runs():
    score = make([(0, 4, 60), (4, 4, 60), (4, 4, 50), (8, 4, 60), (12, 4, 62), (80, 4, 62)])
    assert longest_pitch_run(score) == 3  # below the top line, 50 does not break it
    assert longest_empty_run(score) == 4
    assert note_density(score) == 1
    assert longest_empty_run(make([(0, 84, 60)])) == 0  # held notes fill bars


def test_overlap_of_like_and_unlike():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=400), rng.normal(size=400)
    assert overlapped_area(a, a) == pytest.approx(1, abs=1e-3)
    assert overlapped_area(a, b) == overlapped_area(b, a) > 0.9
    assert overlapped_area(a, b + 20) < 1e-3
    assert overlapped_area(a, b + 2) == pytest.approx(math.erfc(1 / math.sqrt(2)), abs=0.06)  # of two unit normals
    assert overlapped_area([3, 3, 3], [3, 3]) == pytest.approx(1, abs=1e-3)
    assert overlapped_area([3, 3, 3], [4, 4]) < 1e-3
    assert math.isnan(overlapped_area([float("nan")], a))
    assert overlapped_area([*a, float("nan")], b) == overlapped_area(a, b)


def test_overlap_equals_scipys_kernel_estimate():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(2)
    a, b = rng.gamma(2, size=60), rng.gamma(3, size=90)
    x = np.linspace(-10, 30, 20_001)
    area = np.minimum(stats.gaussian_kde(a)(x), stats.gaussian_kde(b)(x)).sum() * (x[1] - x[0])
    assert overlapped_area(a, b) == pytest.approx(area, abs=1e-4)


def test_drums_have_nothing_that_is_of_pitches():
    values = statistics(make([(0, 1, 36), (16, 1, 38)], drums=0))
    assert {name for name, value in values.items() if math.isnan(value)} == {
        *("pitch-class entropy", "scale consistency", "polyphony", "pitch range", "longest pitch run"),
    }


def test_overlap_is_of_distances():
    rng = np.random.default_rng(3)
    reference, generated = rng.normal(size=(20, 1)), rng.normal(scale=3, size=(15, 1))
    within = [abs(a - b) for (a,), (b,) in combinations(reference, 2)]
    across = [abs(a - b) for (a,) in generated for (b,) in reference]
    assert overlap(generated, reference) == pytest.approx(overlapped_area(within, across))
    assert overlap(np.ones((4, 1)), np.ones((5, 1))) == pytest.approx(1, abs=1e-3)
    assert overlap(reference[:3] * 0, reference + 20) < 1e-3
    assert math.isnan(overlap(generated, np.ones((5, 1))))  # nothing says how far apart is far


def test_overlap_of_histograms_is_of_their_euclidean_distances():
    rng = np.random.default_rng(4)
    reference, generated = rng.dirichlet(np.ones(12), 20), rng.dirichlet(np.ones(12), 15)
    within = [np.linalg.norm(a - b) for a, b in combinations(reference, 2)]
    across = [np.linalg.norm(a - b) for a in generated for b in reference]
    assert overlap(generated, reference) == pytest.approx(overlapped_area(within, across))
    assert math.isnan(overlap(generated[:0], reference))
    assert math.isnan(overlap(generated, reference[:0]))

"""Harmony and line in numbers, on chorales of two bars that anyone can check."""

from math import log

import pytest

from melody.evaluation.form import Excerpt
from melody.evaluation.harmony import Changes, Harmony, harmonies, runs
from melody.tokens.plan import Bar

SCALE_AND_CADENCE = [  # S, A, T, B on each beat: I IV ii V | I (a half note), vi
    [(67, 64, 60, 48), (69, 65, 60, 53), (65, 62, 57, 50), (62, 59, 55, 43)],
    [(64, 60, 55, 48), (69, 64, 60, 45)],
]
LENGTHS = [[24] * 4, [48, 48]]


def excerpt(chords: list[list[tuple[int, ...]]] = SCALE_AND_CADENCE, start: int = 0) -> Excerpt:
    bars: list[Bar] = []
    for chords_of_bar, lengths in zip(chords, LENGTHS, strict=True):
        places = [sum(lengths[:n]) for n in range(len(lengths))]
        bars.append(
            tuple(
                (place, track, pitch, 20, length)
                for place, length, chord in zip(places, lengths, chords_of_bar, strict=True)
                for track, pitch in enumerate(chord)
            )
        )
    return Excerpt(bars, start)


def leaving(alto: int) -> Excerpt:
    """The same with another note of the alto under the last dominant's resolution."""
    second = [(64, alto, 55, 48), *SCALE_AND_CADENCE[1][1:]]
    return excerpt([SCALE_AND_CADENCE[0], second])


def test_a_dominant_that_goes_to_the_tonic_under_a_long_note_is_a_cadence() -> None:
    harmony = Harmony.of(excerpt())
    assert harmony.key.name == "C major"
    assert harmony.cadences == 1
    statistic = harmonies(Changes.of([excerpt()]))["authentic cadences in 16 bars"]
    assert statistic([excerpt()]) == 8.0
    assert statistic([excerpt(start=1)]) == 16.0  # it stands in the counted bar


def test_a_short_note_closes_nothing() -> None:
    quarters = Excerpt([*excerpt().bars[:1], tuple((*event[:4], 24) for event in excerpt().bars[1])])
    assert Harmony.of(quarters).cadences == 0


def test_a_leading_note_goes_to_the_tonic_or_is_left() -> None:
    assert list(Harmony.of(excerpt()).leading_notes) == [False]
    assert list(Harmony.of(leaving(55)).leading_notes) == [True]


def test_a_change_that_train_has_often_costs_least() -> None:
    changes = Changes.of([excerpt()] * 20)
    (first, *_), mode = Harmony.of(excerpt()).changes, "major"
    assert changes.nats(mode, *first) < 0.7
    assert changes.nats(mode, first[0], (6, 2)) > 3
    assert Changes({}).nats(mode, *first) == pytest.approx(log(36))


def test_runs_and_turns_of_a_line() -> None:
    moves = Harmony.of(excerpt()).moves(0)
    assert moves.tolist() == [1, -1, -1, 1, 1]
    assert runs(moves) == [1, 2, 2]
    assert harmonies(Changes({}))["turns of the tune"]([excerpt()]) == 0.5


def test_nothing_is_no_error() -> None:
    nothing = Harmony.of(Excerpt([(), ()]))
    assert (nothing.cadences, nothing.changes, list(nothing.leading_notes)) == (0, [], [])

"""Limits of a drawn plan: when a track of a band rests, and over which chords it returns."""

import numpy as np
import pytest

from melody.tokens.plan import EMPTY, FIRST, LAGS, NEW, FormPlan, Symbol
from melody.tokens.plan_limits import over_its_chords, plays_on, rests_on
from melody.tokens.planner import OF_TRACKS, SHAPES, Outline, Planner

AGAIN = Symbol(1, 4)
PLAYS = [FIRST, AGAIN, NEW, AGAIN]


@pytest.mark.parametrize("place", range(4, 8))
def test_who_has_played_for_four_bars_begins_to_rest_where_four_begin(place: int) -> None:
    assert plays_on([*PLAYS, *PLAYS][:place], place, place) == (place > 4)
    assert not plays_on([EMPTY, *PLAYS[:3]], 4, place)  # it has rested lately
    assert not plays_on(PLAYS[:3], 3, place)  # nobody knows yet


def test_such_a_rest_lasts_to_the_end_of_the_four() -> None:
    line = [*PLAYS, EMPTY, EMPTY, EMPTY]
    assert [rests_on(line[:bar], bar, bar) for bar in range(5, 8)] == [True] * 3
    assert not rests_on([*line, EMPTY], 8, 8)
    assert not rests_on([*PLAYS, EMPTY, NEW], 6, 6)  # it has come in again
    assert not rests_on([FIRST, EMPTY, NEW, AGAIN, EMPTY], 5, 5)  # it comes and goes


def test_lags_go_back_to_no_bar_of_other_chords() -> None:
    chords = [1, 2, None, 1, 2]
    fits = dict(zip(LAGS, over_its_chords(chords, 4).tolist(), strict=True))
    assert [fits[lag] for lag in (1, 2, 3, 4)] == [False, True, True, False]
    assert fits[5]  # another limit's business
    assert over_its_chords([1, None], 1).all()


def drawn(seed: int) -> FormPlan:
    """Two tracks of a band that have played eight bars, whose chords change from bar to bar, and go on for sixteen."""
    numbers = np.random.default_rng(seed)
    planner = Planner.of({name: numbers.normal(0, 0.3, shape) for name, shape in (SHAPES | OF_TRACKS).items()})
    known = FormPlan(tracks=((FIRST, *[Symbol(4, 4)] * 7),) * 2)
    chords = [bar % 4 for bar in range(8)]
    return planner.draw(known, 24, Outline(0, 24), numbers, cast=(0, 1), together=(0, 1), chords=chords)


def test_tracks_of_a_band_return_over_the_same_chords_and_rest_for_four_bars() -> None:
    rests = returns = 0
    for seed in range(30):
        plan = drawn(seed)
        chords: list[int | None] = [bar % 4 for bar in range(8)]
        for bar in range(8, 24):
            symbols = [line[bar] for line in plan.tracks]
            theirs = [chords[bar - one.lag] for one in symbols if one.is_copy and chords[bar - one.lag] is not None]
            assert len(set(theirs)) <= 1, (seed, bar)
            chords.append(theirs[0] if theirs else None)
            returns += len(theirs) == 2
        for line in plan.tracks:
            for bar in range(8, 23):
                if line[bar] == EMPTY and EMPTY not in line[bar - 4 : bar]:
                    assert bar % 4 == 0, (seed, bar)
                    rests += 1
    assert min(rests, returns) > 10

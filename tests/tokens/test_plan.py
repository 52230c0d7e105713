"""The plan of a piece: found by likeness, told in training truly, spelled as text and as letters."""

from itertools import pairwise

import numpy as np
import pytest
from support.bars import THREE_FOUR, A, B, C, line, piece_of

from melody.errors import UsageError
from melody.tokens import plan as p
from melody.tokens import plan_finding as finding
from melody.tokens.plan import EMPTY, FIRST, LAGS, NEW, UNTOLD, FormPlan, Symbol, spelled, unspelled
from melody.tokens.plan_finding import plan_of_piece

LAG_8 = LAGS.index(8)


def random_bars(count: int, seed: int = 0) -> list[list[tuple[int, int, int]]]:
    """Bars of which none is like another."""
    generator = np.random.default_rng(seed)
    return [line(*generator.integers(30, 100, 4).tolist()) for _ in range(count)]


def test_a_tune_that_returns_is_planned_by_its_lag() -> None:
    eight = random_bars(8)
    found = plan_of_piece(piece_of([*eight, *eight])).plan
    assert spelled(found.symbols) == "first " + "new " * 7 + " ".join(["8="] * 8)


def test_a_groove_is_as_the_bar_before() -> None:
    assert spelled(plan_of_piece(piece_of([A] * 5)).plan.symbols) == "first 1= 1= 1= 1="


def test_velocity_and_small_shifts_of_drums_leave_a_bar_as_it_is() -> None:
    beat = [(0, 128 + 36, 20), (24, 128 + 38, 28), (48, 128 + 36, 20), (72, 128 + 38, 28)]
    played = [(place + 1, drum, loud - 5) for place, drum, loud in beat]
    assert plan_of_piece(piece_of([beat, played])).plan.symbols[1] == Symbol(1, p.LIKES)
    pitched = [(place + 1, pitch, loud) for place, pitch, loud in A]
    assert plan_of_piece(piece_of([A, pitched])).plan.symbols[1] == NEW


def test_likeness_tells_a_variation_from_a_repeat() -> None:
    varied = [*A[:3], (72, 90, 20)]
    symbol = plan_of_piece(piece_of([A, A, varied, varied])).plan.symbols[2]
    assert symbol == Symbol(1, 2)  # three of five events
    assert not symbol.is_copy
    assert Symbol(1, p.LIKES).is_copy
    assert not NEW.is_copy


def test_empty_bars_have_a_symbol_and_interrupt_no_lag() -> None:
    four = [A, B, [], C]
    assert spelled(plan_of_piece(piece_of(four * 2)).plan.symbols) == "first new empty new 4= 4= empty 4="


@pytest.mark.parametrize("first", [[(48, 60, 20)], []])
def test_a_pickup_is_found(first: list[tuple[int, int, int]]) -> None:
    late = plan_of_piece(piece_of([first, A, B])).plan
    assert late.pickup == bool(first)  # nothing begins in the first half; silence is no pickup
    short = plan_of_piece(piece_of([A[:3], A, B], meters=[THREE_FOUR, THREE_FOUR - 1])).plan
    assert short.pickup == 0
    longer = plan_of_piece(piece_of([A[:3], A, B], meters=[THREE_FOUR, p.METERS.index((4, 4))])).plan
    assert longer.pickup == 1
    assert longer.symbols[:3] == (FIRST, FIRST, NEW)


def test_similarities_are_the_jaccard_index_in_blocks_too() -> None:
    generator = np.random.default_rng(3)
    keys = [frozenset(generator.integers(0, 12, generator.integers(0, 9)).tolist()) for _ in range(150)]
    found = finding.similarities(keys)
    assert np.array_equal(found, finding.similarities(keys, block=7))
    for bar in range(150):
        for place, lag in enumerate(LAGS):
            expected = p.likeness(keys[bar], keys[bar - lag]) if lag <= bar else 0
            assert found[bar, place] == pytest.approx(expected)


def test_the_plan_found_is_the_best_of_all() -> None:
    generator = np.random.default_rng(0)
    gain = generator.random((5, 4)).astype(np.float32)

    def worth(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in pairwise(path))
        return float(sum(gain[bar, state] for bar, state in enumerate(path)) - finding.SWITCH * changes)

    best = max(np.ndindex(4, 4, 4, 4, 4), key=worth)
    assert worth(tuple(finding._best_path(gain))) == pytest.approx(worth(best))


def test_some_tracks_may_have_a_plan_of_their_own() -> None:
    ids = piece_of([A, B, A, B])
    assert spelled(plan_of_piece(ids, tracks={0}).plan.symbols) == "first new 2= 2="
    assert spelled(plan_of_piece(ids, tracks={1}).plan.symbols) == "first empty empty empty"


def test_a_gap_is_planned_from_both_sides() -> None:
    eight = random_bars(8)
    bars, pickup = p.bars_of(piece_of([*eight, *eight]))
    plan = finding.plan_around(bars, pickup, range(4, 6))
    assert plan.symbols[4:6] == (Symbol(-8, 4), Symbol(-8, 4))  # as bars 12 and 13, which stand there
    assert plan.ahead[12] == bars[12]
    assert spelled(plan.symbols[:4]) == "first new new new"
    later = finding.plan_around(bars, pickup, range(12, 14))
    assert later.symbols[8:12] == (Symbol(8, 4),) * 4
    assert later.symbols[12:14] == (UNTOLD, UNTOLD)
    assert finding.plan_around(bars, pickup, range(2)).symbols[0] == FIRST


def test_what_stands_in_a_gap_says_nothing() -> None:
    eight = random_bars(8)
    full, pickup = p.bars_of(piece_of([*eight, *eight]))
    other = [*full[:4], full[0], (), *full[6:]]
    assert finding.plan_around(full, pickup, range(4, 6)) == finding.plan_around(other, pickup, range(4, 6))


def test_a_form_is_asked_for_in_letters() -> None:
    assert p.parse_form("ABA'") == (("A", 4), ("B", 4), ("A", 3))
    for wrong in ("", "aab", "AA BA", "'A", "A1", "A" * 80):
        with pytest.raises(UsageError, match="a letter for each section"):
            p.parse_form(wrong)


def test_training_tells_the_truth_or_less() -> None:
    bars = random_bars(8)
    found = plan_of_piece(piece_of(bars * 5))
    generator = np.random.default_rng(0)
    plans = [found.told(generator, hide=0.2, cut=0.15, retell=0.3) for _ in range(300)]
    assert 30 < sum(plan is None for plan in plans) < 90
    told = [plan for plan in plans if plan is not None]
    assert 15 < sum(len(plan.symbols) < 40 for plan in told) < 70
    lags = {symbol.lag for plan in told for symbol in plan.symbols}
    assert lags == {0, 8, 16, 32}  # the bars are like none but those
    for plan in told:
        for bar, symbol in enumerate(plan.symbols):
            assert symbol in (FIRST, NEW, EMPTY) or (bar >= symbol.lag and symbol.like == p.LIKES)


def test_text_and_back() -> None:
    symbols = (FIRST, NEW, EMPTY, UNTOLD, Symbol(8, 4), Symbol(-8, 3), Symbol(1, 1))
    assert spelled(symbols) == "first new empty ? 8= -8+ 1-"
    assert unspelled(spelled(symbols)) == symbols
    for wrong in ("8", "=", "0=", "x=", "newer"):
        with pytest.raises(ValueError, match="no symbol"):
            unspelled(wrong)


def test_letters_name_sections_that_return() -> None:
    a, b = random_bars(8, 1), random_bars(8, 2)
    plan = plan_of_piece(piece_of([*a, *a, *b, *a])).plan
    assert p.letters_of(plan) == [(0, "A"), (8, "A"), (16, "B"), (24, "A")]
    assert p.letters_of(FormPlan((FIRST, *plan.symbols), pickup=1))[0] == (1, "A")
    assert p.letters_of(FormPlan()) == []


def test_a_piece_without_bars_has_an_empty_plan() -> None:
    assert plan_of_piece(piece_of([])).plan == FormPlan()
    assert FormPlan()[5] == UNTOLD

"""The planner: plans drawn bar by bar, the same for the same numbers, never beyond what there is."""

import numpy as np
import pytest

from melody.tokens.plan import EMPTY, FIRST, LAGS, NEW, UNTOLD, Symbol
from melody.tokens.planner import SHAPES, STATES, SYMBOLS, TABLES, Outline, Planner, code_of, state_of


def some_planner(seed: int = 0) -> Planner:
    generator = np.random.default_rng(seed)
    return Planner.of({name: generator.normal(0, 0.3, shape) for name, shape in SHAPES.items()})


PLANNER = some_planner()


def numbers(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_symbol_has_a_code_and_a_state() -> None:
    symbols = [UNTOLD, NEW, FIRST, EMPTY, *(Symbol(lag, like) for lag in LAGS for like in range(1, 5))]
    assert [code_of(symbol) for symbol in symbols] == list(range(SYMBOLS))
    assert {state_of(symbol) for symbol in symbols if symbol not in (UNTOLD, FIRST)} == set(range(STATES))
    assert code_of(Symbol(-8, 3)) == code_of(Symbol(8, 3))  # a bar to come


def test_rows_lie_within_their_tables() -> None:
    for outline in (Outline(), Outline(1, 300, (47, 32)), Outline(0, 1, (1, 1))):
        for bar in (0, 1, 17, 400):
            rows = outline.rows(NEW, bar)
            assert all(0 <= row < SHAPES[name][0] for name, row in zip(TABLES, rows, strict=True))


@pytest.mark.parametrize("pickup", [0, 1])
def test_no_lag_reaches_before_the_piece(pickup: int) -> None:
    outline = Outline(pickup, 40)
    for seed in range(5):
        plan = PLANNER.draw((), 40, outline, numbers(seed))
        assert len(plan.symbols) == 40
        assert plan.pickup == pickup
        assert plan.symbols[: 1 + pickup] == (FIRST,) * (1 + pickup)
        assert FIRST not in plan.symbols[1 + pickup :]
        assert all(symbol.lag <= bar for bar, symbol in enumerate(plan.symbols))


def test_what_is_known_stays_and_what_is_untold_is_drawn() -> None:
    known = (FIRST, NEW, UNTOLD, Symbol(2, 4))
    plan = PLANNER.draw(known, 8, Outline(), numbers())
    assert (*plan.symbols[:2], plan.symbols[3]) == (*known[:2], known[3])
    assert UNTOLD not in plan.symbols


def test_a_longer_plan_begins_as_a_shorter_one() -> None:
    short, long = (PLANNER.draw((), bars, Outline(), numbers(3)).symbols for bars in (10, 20))
    assert long[:10] == short


def test_without_numbers_the_likeliest_plan_is_drawn() -> None:
    one, other = (PLANNER.draw((), 20, Outline(), None) for _ in range(2))
    assert one == other
    costs = [sum(PLANNER.nats(PLANNER.draw((), 20, Outline(), numbers(seed)).symbols, Outline())) for seed in range(20)]
    assert sum(PLANNER.nats(one.symbols, Outline())) < min(costs)


def test_probabilities_add_up_over_all_that_may_follow() -> None:
    known = (FIRST, NEW, NEW)
    after = [NEW, EMPTY, *(Symbol(lag, like) for lag in (1, 2, 3) for like in range(1, 5))]
    p = [np.exp(-PLANNER.nats((*known, symbol), Outline())[-1]) for symbol in after]
    assert sum(p) == pytest.approx(1, abs=1e-6)


def test_frequencies_are_as_the_probabilities() -> None:
    known, generator = (FIRST, NEW), numbers()
    drawn = [PLANNER.draw(known, 3, Outline(), generator).symbols[2] for _ in range(2000)]
    for symbol in (NEW, EMPTY):
        expected = np.exp(-PLANNER.nats((*known, symbol), Outline())[-1])
        assert np.mean([one == symbol for one in drawn]) == pytest.approx(expected, abs=0.04)


def test_what_is_no_planner_is_refused() -> None:
    tensors = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    with pytest.raises(ValueError, match="lag should be"):
        Planner.of(tensors | {"lag": np.zeros((3, 3))})
    del tensors["bias"]
    with pytest.raises(ValueError, match="bias should be of shape"):
        Planner.of(tensors)

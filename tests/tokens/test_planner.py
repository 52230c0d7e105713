"""The planner: plans drawn bar by bar, the same for the same numbers, never beyond what there is."""

import numpy as np
import pytest

from melody.native.library import core
from melody.tokens.plan import EMPTY, FIRST, LAGS, NEW, UNTOLD, FormPlan, Symbol
from melody.tokens.plan_limits import not_again
from melody.tokens.planner import (
    CASTS,
    MOST_TRACKS,
    OF_TRACKS,
    SHAPES,
    STATES,
    SYMBOLS,
    TABLES,
    Outline,
    Planner,
    cast_of,
    code_of,
    state_of,
)


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
        plan = PLANNER.draw(FormPlan(), 40, outline, numbers(seed))
        assert len(plan.symbols) == 40
        assert plan.pickup == pickup
        assert plan.symbols[: 1 + pickup] == (FIRST,) * (1 + pickup)
        assert FIRST not in plan.symbols[1 + pickup :]
        assert all(symbol.lag <= bar for bar, symbol in enumerate(plan.symbols))


def test_what_is_known_stays_and_what_is_untold_is_drawn() -> None:
    known = (FIRST, NEW, UNTOLD, Symbol(2, 4))
    plan = PLANNER.draw(FormPlan(known), 8, Outline(), numbers())
    assert (*plan.symbols[:2], plan.symbols[3]) == (*known[:2], known[3])
    assert UNTOLD not in plan.symbols


def test_a_longer_plan_begins_as_a_shorter_one() -> None:
    short, long = (PLANNER.draw(FormPlan(), bars, Outline(), numbers(3)).symbols for bars in (10, 20))
    assert long[:10] == short


def test_without_numbers_the_likeliest_plan_is_drawn() -> None:
    one, other = (PLANNER.draw(FormPlan(), 20, Outline(), None) for _ in range(2))
    assert one == other
    costs = [sum(PLANNER.nats(PLANNER.draw(FormPlan(), 20, Outline(), numbers(seed)), Outline())) for seed in range(20)]
    assert sum(PLANNER.nats(one, Outline())) < min(costs)


def test_probabilities_add_up_over_all_that_may_follow() -> None:
    known = (FIRST, NEW, NEW)
    after = [NEW, EMPTY, *(Symbol(lag, like) for lag in (1, 2, 3) for like in range(1, 5))]
    p = [np.exp(-PLANNER.nats(FormPlan((*known, symbol)), Outline())[-1]) for symbol in after]
    assert sum(p) == pytest.approx(1, abs=1e-6)


def test_frequencies_are_as_the_probabilities() -> None:
    known, generator = (FIRST, NEW), numbers()
    drawn = [PLANNER.draw(FormPlan(known), 3, Outline(), generator).symbols[2] for _ in range(2000)]
    for symbol in (NEW, EMPTY):
        expected = np.exp(-PLANNER.nats(FormPlan((*known, symbol)), Outline())[-1])
        assert np.mean([one == symbol for one in drawn]) == pytest.approx(expected, abs=0.04)


def test_what_is_no_planner_is_refused() -> None:
    tensors = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    with pytest.raises(ValueError, match="lag should be"):
        Planner.of(tensors | {"lag": np.zeros((3, 3))})
    del tensors["bias"]
    with pytest.raises(ValueError, match="bias should be of shape"):
        Planner.of(tensors)


def test_fewer_bars_are_new_where_they_are_held() -> None:
    planner = some_planner()
    news = []
    for hold in (0.0, 0.3, 50.0):
        plans = [planner.draw(FormPlan(), 32, Outline(0, 32), numbers(seed), hold=hold) for seed in range(40)]
        news.append(sum(symbol == NEW for plan in plans for symbol in plan.symbols))
    assert news[0] > news[1] > news[2] == 0


# ---- a plan for each track ------------------------------------------------------------------------------------------

CAST = (0, 2)


def some_planner_of_tracks(seed: int = 0) -> Planner:
    generator = np.random.default_rng(seed)
    casts = np.zeros((4, MOST_TRACKS))
    casts[:3, list(CAST)] = casts[3, 1] = 1
    return Planner.of(
        {n: generator.normal(0, 0.3, shape) for n, shape in (SHAPES | OF_TRACKS).items()} | {CASTS: casts}
    )


OF_BAND = some_planner_of_tracks()


@pytest.mark.skipif(core() is None, reason="the native core is not installed")
@pytest.mark.parametrize("seed", range(20))
def test_in_c_and_in_numpy_the_same_plan_is_drawn(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for library in (core, lambda: None):
        monkeypatch.setattr("melody.tokens.small_lstm.core", library)
        alone = some_planner(seed).draw(FormPlan(), 24, Outline(seed % 2, 24), numbers(seed))
        known = FormPlan(tracks=((NEW, Symbol(1, 4)), (), (EMPTY, NEW), ()))
        band = OF_BAND.draw(known, 16, Outline(), numbers(seed), cast=(0, 1, 3), awake=(3,), together=(1, 3))
        drawn.append((alone, band))
    assert drawn[0] == drawn[1]


THREE = FormPlan(tracks=((),) * 3)


def test_only_the_cast_sounds_and_no_silence_is_copied() -> None:
    for seed in range(5):
        plan = OF_BAND.draw(THREE, 40, Outline(seed % 2, 40), numbers(seed), cast=CAST)
        assert plan.symbols == ()
        assert plan.tracks[1] == (EMPTY,) * 40
        for track in CAST:
            line = plan.tracks[track]
            assert set(line[: 1 + plan.pickup]) <= {FIRST, EMPTY}
            assert FIRST not in line[1 + plan.pickup :]
            assert UNTOLD not in line
            copies = [(bar, symbol.lag) for bar, symbol in enumerate(line) if symbol.lag]
            assert all(lag <= bar and line[bar - lag] != EMPTY for bar, lag in copies)
        assert all(plan.of(0, bar) != EMPTY or plan.of(2, bar) != EMPTY for bar in range(40))  # somebody plays


def test_a_lone_player_of_a_band_does_not_rest() -> None:
    for seed in range(5):
        plan = OF_BAND.draw(THREE, 40, Outline(0, 40), numbers(seed), cast=(2,))
        assert EMPTY not in plan.tracks[2]


def test_a_lone_player_of_a_band_loops_no_phrase_for_ever() -> None:
    lags = np.zeros_like(OF_BAND.weights["state_bias"])
    lags[state_of(Symbol(4, 4))] = 200.0
    likes = np.zeros_like(OF_BAND.weights["like_bias"])
    likes[-1] = 200.0
    looping = Planner({**OF_BAND.weights, "state_bias": lags, "like_bias": likes})
    known = FormPlan(tracks=((EMPTY,) * 4, (EMPTY,) * 4, (FIRST, NEW, NEW, NEW)))
    alone = looping.draw(known, 24, Outline(0, 24), numbers(), cast=(2,)).tracks[2]
    together = looping.draw(known, 24, Outline(0, 24), numbers(), cast=(0, 2)).tracks[2]
    assert [symbol.lag for symbol in alone[4:12]] == [4] * 8
    assert alone[12].lag not in (4, 8, 12)  # these would say it a fourth time
    assert [symbol.lag for symbol in together[4:]] == [4] * 20


def test_a_riff_is_said_more_often_than_a_phrase() -> None:
    assert not not_again([0] * 7, 7).any()
    assert not_again([0] * 8, 8)[:8].all()
    assert not not_again([0, 1] * 3, 6).any()
    assert not_again([0, 1] * 4, 8)[:4].tolist() == [False, True] * 2
    assert not not_again([0, 1, 2, 0, 1, 0, 3, 0], 8).any()  # often, but in no loop


def test_who_makes_harmony_returns_to_bars_with_the_same_chords() -> None:
    chords = (0, 0, 1, 2, 0, 0, 1, 3, 1, 0, 0, 3, 2, 2, 1, 0)
    copies = {1: 0, 3: 0}
    for seed in range(20):
        options = {"cast": (0, 1, 3), "together": (1, 3)}
        plan = OF_BAND.draw(FormPlan(tracks=((),) * 4), 16, Outline(), numbers(seed), chords=chords, **options)  # type: ignore[arg-type]
        for track in copies:
            lags = [(bar, symbol.lag) for bar, symbol in enumerate(plan.tracks[track]) if symbol.is_copy]
            copies[track] += len(lags)
            assert all(chords[bar] == chords[bar - lag] for bar, lag in lags)
    assert min(copies.values()) > 20
    free = [OF_BAND.draw(FormPlan(tracks=((),) * 4), 16, Outline(), numbers(seed)).tracks[1] for seed in range(20)]
    pairs = [(bar, bar - s.lag) for line in free for bar, s in enumerate(line) if s.is_copy]
    assert any(chords[bar] != chords[back] for bar, back in pairs)


def test_drums_of_a_band_leave_a_groove_where_fours_begin() -> None:
    bias = np.zeros_like(OF_BAND.weights["state_bias"])
    bias[state_of(NEW)] = 2.0
    even = Planner({**OF_BAND.weights, "state": np.zeros_like(OF_BAND.weights["state"]), "state_bias": bias})
    left, in_all = np.zeros((2, 4))
    for seed in range(60):
        plan = even.draw(THREE, 33, Outline(1), numbers(seed), cast=(0, 2), together=(2,))
        drums = plan.tracks[0]
        for bar in (bar for bar in range(2, 33) if drums[bar - 1].lag):
            left[(bar - 1) % 4] += drums[bar] == NEW
            in_all[(bar - 1) % 4] += 1
    assert left[0] / in_all[0] > 1.5 * (left[1:] / in_all[1:]).max()


def test_a_track_that_is_awake_goes_on_in_the_first_bar() -> None:
    even = Planner({**OF_BAND.weights, "state": np.zeros_like(OF_BAND.weights["state"])})
    known = FormPlan(tracks=((FIRST, NEW), (EMPTY, EMPTY), (FIRST, NEW)))
    for awake in ((), (0, 2)):
        plans = [even.draw(known, 4, Outline(), numbers(seed), cast=CAST, awake=awake) for seed in range(40)]
        asleep = [plan.tracks[track][2] == EMPTY for plan in plans for track in CAST]
        assert any(asleep) == (not awake)
        assert any(plan.tracks[0][3] == EMPTY for plan in plans)
    silent = {**even.weights, "state_bias": np.where(np.arange(STATES) == 1, 9, even.weights["state_bias"])}
    plan = Planner(silent).draw(known, 12, Outline(), numbers(), cast=(0, 2), awake={0})
    assert [symbol == EMPTY for symbol in plan.tracks[0][2:]] == [False, *[True] * 4, False, *[True] * 4]


def test_a_track_asked_to_be_as_in_silence_is_silent() -> None:
    back = (UNTOLD, Symbol(2, 4))
    known = FormPlan(tracks=((FIRST, NEW, *back), (EMPTY, EMPTY, *back), (FIRST, EMPTY, *back)))
    plan = OF_BAND.draw(known, 4, Outline(), numbers(), cast=CAST)
    assert [line[3] for line in plan.tracks] == [Symbol(2, 4), EMPTY, EMPTY]


def test_the_cast_of_a_new_piece_is_one_of_training() -> None:
    drawn = {OF_BAND.draw_cast(numbers(seed), 3) for seed in range(60)}
    assert drawn == {CAST, (1,)}
    assert OF_BAND.draw_cast(None, 3) == CAST
    assert cast_of(OF_BAND.draw(THREE, 40, Outline(), numbers(1), cast=CAST)) == CAST


def test_a_track_hears_what_those_before_it_do_in_the_same_bar() -> None:
    lines = [(FIRST, NEW, one) for one in (NEW, EMPTY)]
    other = (FIRST, NEW, NEW)
    costs = [OF_BAND.nats(FormPlan(tracks=(line, (EMPTY,) * 3, other)), Outline()) for line in lines]
    alone = [OF_BAND.nats(FormPlan(tracks=(line, (EMPTY,) * 3, (EMPTY,) * 3)), Outline()) for line in lines]
    assert costs[0][:2] == costs[1][:2]
    assert costs[0][2] - alone[0][2] != pytest.approx(costs[1][2] - alone[1][2])


def test_of_tracks_probabilities_add_up_over_all_that_may_follow() -> None:
    known, other = (EMPTY, NEW), (FIRST, NEW, NEW)
    after = [NEW, EMPTY, *(Symbol(1, like) for like in range(1, 5))]  # two bars ago there was silence
    rest = OF_BAND.nats(FormPlan(tracks=((*known, NEW), other)), Outline())[2]
    costs = [OF_BAND.nats(FormPlan(tracks=(other, (*known, symbol))), Outline())[2] for symbol in after]
    first = OF_BAND.nats(FormPlan(tracks=(other, (*known, UNTOLD))), Outline())[2]
    assert rest > 0
    assert sum(np.exp(first - np.array(costs))) == pytest.approx(1, abs=1e-5)


def test_casts_that_are_none_are_refused() -> None:
    weights = dict(OF_BAND.weights)
    with pytest.raises(ValueError, match="casts should be"):
        Planner.of(weights | {CASTS: np.zeros(3)})
    with pytest.raises(ValueError, match="casts should be 1 to"):
        Planner.of(weights | {CASTS: np.zeros((0, MOST_TRACKS))})
    del weights["behind"]
    with pytest.raises(ValueError, match="behind should be of shape"):
        Planner.of(weights)

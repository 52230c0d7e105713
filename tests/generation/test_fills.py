"""Drums of a band fill the ends of phrases where their plan says so, and begin what follows with a crash."""

from functools import cache

import numpy as np
import pytest

from melody.corpus.pieces import quantize_on_places
from melody.generation import Composer
from melody.generation.form import _looped
from melody.generation.rules.fills import FILLING
from melody.music.drumkit import CRASHES, KICK
from melody.tokens import planner as planning
from melody.tokens.plan import DRUM_HIT, EMPTY, LIKES, NEW, UNTOLD, Bar, FormPlan, Symbol, bars_of, is_fill
from melody.tokens.planner import FILLED, _with_fills

SAME, GROOVE = Symbol(1, LIKES), 8  # bars


@cache
def composer() -> Composer:
    return Composer("band")


def composed(monkeypatch: pytest.MonkeyPatch, seed: int, style_rules: bool = True) -> tuple[list[Bar], FormPlan]:
    """A band of nine bars whose drums fill every fourth one."""
    monkeypatch.setattr(planning, "FILLED", {4: 1.0})
    (take,) = composer().compose(bars=9, seed=seed, meter=(4, 4), style_rules=style_rules)
    found, _ = bars_of(composer().bundle.tokenizer.spell(quantize_on_places(take.notation)).tolist())
    assert take.plan is not None
    return found, take.plan


def hits(bar: Bar, start: int, stop: int) -> list[tuple[int, int]]:
    """Places and drums from a tick on, before another."""
    return [(place, hit - DRUM_HIT) for place, _, hit, _, _ in bar if hit >= DRUM_HIT and start <= place < stop]


def test_fill_has_a_snare_or_tom_at_each_eighth_and_a_crash_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = 0
    for seed in range(4):
        found, plan = composed(monkeypatch, seed)
        for bar in range(1, len(found) - 1):
            symbol = plan.of(0, bar)
            if not is_fill(symbol, bar - plan.pickup):
                continue
            filled += 1
            start = 72 if symbol.like == LIKES - 1 else 48
            played = hits(found[bar], start, 96)
            assert {drum for _, drum in played} <= {*FILLING, KICK}
            assert set(range(start, 96, 12)) <= {place for place, drum in played if drum in FILLING}
            assert any(drum in CRASHES for _, drum in hits(found[bar + 1], 0, 1))
    assert filled >= 4


def test_fills_are_the_same_by_the_loop_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from melody.generation.decoders import sampling

    native = composed(monkeypatch, 1)
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert composed(monkeypatch, 1) == native


def test_a_bar_planned_as_a_fill_is_as_the_bar_that_the_fill_varied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "FILLED", {8: 1.0})
    line = [NEW, *[SAME] * 6, Symbol(4, LIKES), SAME, SAME]
    drawn = _with_fills(line, (), 0, np.random.default_rng(0))
    assert is_fill(drawn[7], 7)
    assert drawn[7].lag == 4
    assert drawn[8] == Symbol(5, LIKES)  # the bar before that four
    assert drawn[9] == Symbol(6, LIKES)  # not as the one with the crash
    assert drawn[:7] == line[:7]  # no fill at the first four


def test_a_fill_that_is_asked_for_stays_and_others_are_drawn_as_often_as_stated() -> None:
    fill = Symbol(1, LIKES - 1)
    assert _with_fills([NEW, SAME, SAME, fill], (NEW, UNTOLD, UNTOLD, fill), 0, np.random.default_rng(0))[3] == fill
    assert _with_fills([NEW, SAME, SAME, fill], (), 0, None)[3] == SAME  # the likeliest plan has none
    line, counts = [NEW, *[SAME] * (GROOVE - 1)], np.zeros(GROOVE)
    for seed in range(400):
        counts += [is_fill(one, bar) for bar, one in enumerate(_with_fills(line, (), 0, np.random.default_rng(seed)))]
    assert counts[[0, 1, 2, 4, 5, 6]].sum() == 0
    assert counts[[3, 7]] / 400 == pytest.approx([FILLED[4], FILLED[8]], abs=0.06)


def test_the_last_bar_of_a_loop_goes_round() -> None:
    line = [NEW, NEW, Symbol(2, LIKES), NEW]
    assert _looped(line, (), 3)[3] == Symbol(2, LIKES)
    assert _looped(line, (UNTOLD, UNTOLD, UNTOLD, NEW), 3) == line  # it was asked for
    assert _looped([NEW, NEW, NEW, EMPTY], (), 3) == [NEW, NEW, NEW, EMPTY]  # nothing returned before it

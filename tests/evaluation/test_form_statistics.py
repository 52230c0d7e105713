"""Statistics of form and groove on bars that can be counted by hand; a critic that tells what it should."""

from itertools import pairwise

import numpy as np
import pytest
from support.bars import A, B, C, D, line, piece_of

from melody.evaluation import form as f
from melody.evaluation.continuations import Cut, NgramEngine, repeated
from melody.evaluation.critic import judge
from melody.evaluation.form import Excerpt
from melody.evaluation.ngram import ORDERS, learn
from melody.tokens.plan import Bar, bars_of

KICKS = [(0, 128 + 36, 20), (48, 128 + 36, 20)]
SNARES = [(24, 128 + 38, 25), (72, 128 + 38, 25)]
GHOSTS = [(36, 128 + 38, 5)]


def bars(*rows: list[tuple[int, int, int]]) -> list[Bar]:
    return bars_of(piece_of([sorted(row) for row in rows]))[0]


def test_kick_and_snare_from_bar_to_bar() -> None:
    beat, half = KICKS + SNARES, [KICKS[0], *SNARES]
    steady = Excerpt(bars(beat, beat + GHOSTS, beat))
    assert f.same_as_before([steady]) == 1  # ghost notes are no snare
    assert f.overlap_of([steady], f.KICK) == f.overlap_of([steady], f.SNARE) == 1
    changed = Excerpt(bars(beat, half, half))
    assert f.overlap_of([changed], f.KICK) == pytest.approx((0.5 + 1) / 2)
    assert f.same_as_before([changed]) == 0.5
    assert f.overlap_of([Excerpt(changed.bars, start=2)], f.KICK) == 1  # from the second on


def test_the_backbeat_counts_in_four_four() -> None:
    assert f.backbeat([Excerpt(bars(KICKS + SNARES, KICKS + SNARES[:1]))]) == 0.75
    assert f.backbeat([Excerpt(bars(KICKS + GHOSTS))]) == 0
    assert np.isnan(f.backbeat([Excerpt(bars(KICKS), bar_ticks=72)]))


def test_toms_in_fours() -> None:
    toms = [(60, 128 + 45, 20), (66, 128 + 43, 20)]
    assert f.toms_in_fours([Excerpt(bars(KICKS, KICKS, KICKS, KICKS + toms))]) == 2
    assert f.toms_in_fours([Excerpt(bars(KICKS, KICKS, KICKS, KICKS, KICKS + toms), pickup=1)]) == 2


def eight(seed: int) -> list[list[tuple[int, int, int]]]:
    generator = np.random.default_rng(seed)
    return [line(*generator.integers(30, 100, 4).tolist()) for _ in range(8)]


def test_strains_returns_and_loops() -> None:
    a, b = eight(1), eight(2)
    tune = Excerpt(bars(*a, *a, *b, *b))
    assert f.repeats_of_strain([tune], 0) == f.repeats_of_strain([tune], 16) == 1
    assert f.returns_in_eights([tune]) == 1
    assert f.longest_return(tune.keys) == (8, 8)
    assert f.loops([tune]) == 0
    assert f.loops([Excerpt(bars(*a, *a, *a))]) == 1
    assert f.loops([Excerpt(bars(A, B, A, B, A, B))]) == 1
    wandering = Excerpt(bars(*a, *b, *eight(3), *eight(4)))
    assert f.repeats_of_strain([wandering], 0) == 0
    assert f.nearly_returns([wandering]) == 0
    assert f.nearly_as([tune], 8) == pytest.approx(16 / 24)


def test_bars_five_to_seven_echo() -> None:
    phrase = [A, B, C, D, A, B, C, line(50, 52, 53, 55)]
    assert f.echo([Excerpt(bars(*phrase))]) == 1
    assert f.echo([Excerpt(bars(*eight(5)))]) == 0


def test_the_curve_of_likeness() -> None:
    pairs = Excerpt(bars(A, B, A, B))
    assert f.curve([pairs])[:4].tolist() == pytest.approx(
        [f.likeness(*pairs.keys[:2]), 1, f.likeness(*pairs.keys[:2]), 0]
    )
    assert f.curve_error([pairs], [pairs]) == 0
    assert f.curve_error([pairs], [Excerpt(bars(*eight(7)))]) > 0


def test_the_critic_tells_loops_from_tunes_and_likes_from_likes_hardly() -> None:
    pytest.importorskip("sklearn")
    given = [bars(*eight(seed)) for seed in range(24)]
    theirs = [bars(*eight(seed), *eight(seed + 100)) for seed in range(24)]
    loops = [bars(*[eight(seed)[0]] * 16) for seed in range(24)]
    judged = judge(given, loops, theirs, trees=20, rounds=1)
    assert judged.all > 0.95
    assert judged.form > 0.95
    likewise = [bars(*eight(seed), *eight(seed + 500)) for seed in range(24)]
    assert 0.2 < judge(given, likewise, theirs, trees=20, rounds=1).all < 0.8


def test_the_primers_last_bars_over_and_over() -> None:
    given = bars(A, B, C, D, A)
    cut = Cut("", None, given, [()] * 11, 0, 96, None)  # type: ignore[arg-type]
    again = repeated(cut)
    assert len(again) == 11  # as many as followed
    assert again[:4] == given[1:5] == again[4:8]


def test_n_grams_as_an_engine_say_what_the_count_model_says() -> None:
    pieces = [np.random.default_rng(seed).integers(0, 5, 200) for seed in range(3)]
    model = learn(pieces, 7)
    engine, carry = NgramEngine(model, ORDERS), None
    carry = engine.start(1)
    piece, nats = pieces[0][:40], 0.0
    for token, after in pairwise(piece):
        logits, carry = engine.step(np.array([token]), np.zeros((1, 0)), carry)
        assert np.exp(logits[0]).sum() == pytest.approx(1, abs=1e-5)
        nats -= float(logits[0][after])
    assert nats == pytest.approx(float(model.nats([piece])[-1]), rel=1e-4)

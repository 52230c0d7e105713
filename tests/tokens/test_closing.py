"""The close of a plan of chords: on the tonic over its root, on a strong beat."""

from dataclasses import replace

import numpy as np
import pytest

from melody.music.chords import MAJOR, MINOR
from melody.music.key import Key
from melody.native.library import core
from melody.tokens.closing import TONIC, closes, strong_places
from melody.tokens.harmonist import Ground, Harmonist, Wanted
from tests.tokens.test_harmony import bars_of_beats, harmonist

HOME, MINOR_HOME, V = (TONIC, 1 + MAJOR, TONIC), (TONIC, 1 + MINOR, TONIC), (8, 1 + MAJOR, 8)
OVER_THIRD, NONE = (TONIC, 1 + MAJOR, 5), (0, 0, 0)


def homing(seed: int, bias: float = 4.0) -> Harmonist:
    """A harmonist that likes the tonic, but for most plans not enough to end with it."""
    own = harmonist(seed, 0.2)
    root, kind, bass = (np.array(own.weights[f"to_{name}_bias"]) for name in ("root", "kind", "bass"))
    root[TONIC], kind[MAJOR], bass[0] = bias, 2 * bias, 2 * bias
    return Harmonist.of({**own.weights, "to_root_bias": root, "to_kind_bias": kind, "to_bass_bias": bass})


def asked(bars: int, free: bool = False) -> Wanted:
    """So many bars of four beats, the last of which has the tonic by its middle."""
    may_close = np.isin(np.arange(4 * bars), [4 * bars - 4, 4 * bars - 2])
    return replace(Wanted.nothing(4 * bars), may_close=may_close & (not free))


@pytest.mark.parametrize(
    ("last_bar", "in_major", "in_minor"),
    [
        ((V, V, HOME, HOME), True, True),
        ((HOME, V, HOME, NONE), True, True),
        ((HOME, NONE, NONE, NONE), True, True),
        ((HOME, V, V, HOME), False, False),  # on a weak beat
        ((HOME, HOME, HOME, V), False, False),
        ((V, V, OVER_THIRD, OVER_THIRD), False, False),
        ((V, V, MINOR_HOME, MINOR_HOME), False, True),
        ((V, V, MINOR_HOME, HOME), False, True),
        ((NONE, NONE, NONE, NONE), False, False),
    ],
)
def test_a_plan_closes_with_the_tonic_on_a_strong_beat(last_bar: tuple, in_major: bool, in_minor: bool) -> None:
    codes = np.array([V, V, V, V, *last_bar])
    assert closes(codes, asked(2).may_close, is_minor=False) == in_major
    assert closes(codes, asked(2).may_close, is_minor=True) == in_minor
    assert closes(codes, asked(2, free=True).may_close, is_minor=False)


def test_strong_beats_are_the_first_and_in_bars_of_four_the_middle() -> None:
    cases = {(4, 4): (0, 2), (2, 4): (0, 1), (3, 3): (0,), (2, 2): (0,), (2, 6): (0,), (4, 12): (0, 2), (1, 4): (0,)}
    assert {case: strong_places(*case) for case in cases} == cases


@pytest.mark.skipif(core() is None, reason="the native core is not installed")
@pytest.mark.parametrize("seed", range(12))
def test_in_c_and_in_numpy_the_same_plans_close(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ground = Ground.of(bars_of_beats(6), Key(2, "minor" if seed % 2 else "major"), ends=True)
    own, wanted, drawn, after = homing(seed), asked(6), [], []
    wanted.copied[16:20] = np.arange(8, 12)
    for library in (core, lambda: None):
        monkeypatch.setattr("melody.tokens.harmonist.core", library)
        numbers = np.random.default_rng(seed)
        drawn.append(own.draw(ground, wanted, numbers)[0])
        after.append(numbers.random())
    assert np.array_equal(*drawn)
    assert after[0] == after[1]


def test_plans_are_those_of_the_harmonist_that_close() -> None:
    """Rejection sampling: of plans that were drawn freely those that close have as many tonics in the bar before."""
    ground, own = Ground.of(bars_of_beats(3), Key(0, "major"), ends=True), homing(1)
    numbers = np.random.default_rng(0)
    free = [own.draw(ground, asked(3, free=True), numbers)[0] for _ in range(1500)]
    kept = [codes for codes in free if closes(codes, asked(3).may_close, is_minor=False)]
    ours = [own.draw(ground, asked(3), numbers)[0] for _ in range(600)]
    assert 0.2 < len(kept) / len(free) < 0.8
    assert np.mean([closes(codes, asked(3).may_close, is_minor=False) for codes in ours]) > 0.98
    tonics = [np.array([(codes[4:8, 0] == TONIC).mean() for codes in plans]) for plans in (kept, ours, free)]
    spread = tonics[0].std() * np.sqrt(1 / len(kept) + 1 / len(ours))
    assert abs(tonics[0].mean() - tonics[1].mean()) < 3 * spread


def test_a_plan_that_cannot_close_ends_as_it_is_drawn() -> None:
    ground, wanted = Ground.of(bars_of_beats(2), Key(0, "major"), ends=True), asked(2)
    wanted.codes[:4], wanted.known[:4] = V, True
    wanted.copied[4:] = np.arange(4)
    codes, _ = homing(0).draw(ground, wanted, np.random.default_rng(0))
    assert (codes == V).all()


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_where_given_notes_weigh_only_the_tonic_may_come_last(seed: int | None) -> None:
    ground, wanted = Ground.of(bars_of_beats(4), Key(0, "minor"), ends=True), asked(4)
    wanted.tones[:, 7] = 1.0
    generator = None if seed is None else np.random.default_rng(seed)
    codes, _ = harmonist(5).draw(ground, wanted, generator)
    assert closes(codes, wanted.may_close, is_minor=True)
    assert len(np.unique(codes[:-2], axis=0)) > 1

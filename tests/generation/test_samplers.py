"""Samplers on vocabularies small enough to check by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody.errors import UsageError
from melody.generation.rules.contract import narrowed, ruling_of
from melody.generation.sampling import Sampling, choose, log_probability, min_p, nucleus, top_k

HALF = np.log([0.5, 0.25, 0.125, 0.125])  # four tokens
logit_rows = st.lists(st.floats(-20, 20), min_size=1, max_size=12).map(np.array)


def draws(sampling: Sampling, logits: np.ndarray, count: int = 2000) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.bincount([choose(logits, sampling, generator) for _ in range(count)], minlength=len(logits)) / count


def kept(logits: np.ndarray) -> list[int]:
    return np.flatnonzero(logits > -np.inf).tolist()


def test_pure_sampling_follows_the_distribution():
    assert np.abs(draws(Sampling(), HALF) - np.exp(HALF)).max() < 0.04


def test_temperature_half_squares_the_odds():
    expected = np.exp(2 * HALF) / np.exp(2 * HALF).sum()
    assert np.abs(draws(Sampling(temperature=0.5), HALF) - expected).max() < 0.04


@pytest.mark.parametrize("temperature", [0.0, 1e-6])
def test_temperature_to_zero_is_argmax(temperature: float):
    assert draws(Sampling(temperature=temperature), HALF, 50)[0] == 1


@given(logit_rows)
def test_nucleus_of_one_and_k_of_all_change_nothing(logits: np.ndarray):
    assert np.array_equal(nucleus(logits, 1.0), logits)
    assert np.array_equal(top_k(logits, len(logits)), logits)
    assert np.array_equal(min_p(logits, 0.0), logits)


@pytest.mark.parametrize(("top_p", "tokens"), [(0.4, [0]), (0.6, [0, 1]), (0.74, [0, 1]), (0.8, [0, 1, 2])])
def test_nucleus_is_the_smallest_set_with_the_mass(top_p: float, tokens: list[int]):
    assert kept(nucleus(HALF, top_p)) == tokens


def test_top_k_keeps_the_earlier_of_equals():
    assert kept(top_k(HALF, 3)) == [0, 1, 2]


def test_min_p_is_relative_to_the_likeliest():
    assert kept(min_p(HALF, 0.3)) == [0, 1]
    assert kept(min_p(HALF, 0.24)) == [0, 1, 2, 3]


@given(logit_rows, st.floats(0.01, 1), st.integers(0, 5), st.floats(0, 0.99), st.floats(0, 3), st.integers(0, 99))
def test_a_forbidden_token_is_never_drawn(logits, top_p, k, share, temperature, seed):
    logits = np.append(logits, -np.inf)
    sampling = Sampling(temperature, k, top_p, share)
    assert choose(logits, sampling, np.random.default_rng(seed)) < len(logits) - 1


def test_log_probability_is_normalised():
    logits = np.append(HALF + 7, -np.inf)
    assert log_probability(logits, 1) == pytest.approx(np.log(0.25))
    lawful = np.array([True, True, False, False, False])
    assert log_probability(logits, 1, lawful) == pytest.approx(np.log(1 / 3))


@pytest.mark.parametrize("options", [{"top_p": 0}, {"top_p": 1.2}, {"temperature": -1}, {"min_p": 1}, {"top_k": -1}])
def test_values_out_of_range_are_refused_by_name(options: dict[str, float]):
    with pytest.raises(UsageError, match=next(iter(options))):
        Sampling(**options)


masks = st.lists(st.booleans(), min_size=6, max_size=6).map(np.array)


@given(masks, st.lists(st.none() | masks, max_size=5))
def test_a_rule_that_would_leave_nothing_yields_to_those_before_it(lawful: np.ndarray, opinions: list):
    before, expected = lawful.copy(), lawful
    for opinion in opinions:
        if opinion is not None and (expected & opinion).any():
            expected = expected & opinion
    rules = [lambda reader, opinion=opinion: opinion for opinion in opinions]
    assert np.array_equal(narrowed(lawful, None, rules), expected)
    assert np.array_equal(lawful, before)


class Grammar:
    """A reader after which any of six tokens may follow, but the last."""

    vocabulary = range(6)

    def allow(self) -> np.ndarray:
        return np.arange(6) < 5


class LeadsOn:
    """A rule that leaves the first two tokens, and would have all go on by one of them."""

    def __init__(self, target: int) -> None:
        self.target = target

    def __call__(self, reader: Grammar) -> np.ndarray:
        return np.arange(6) < 2

    def redirect(self, reader: Grammar) -> tuple[int, np.ndarray]:
        return self.target, np.arange(6) >= 2


def only(*tokens: int):
    return lambda reader: np.isin(np.arange(6), tokens)


@pytest.mark.parametrize(
    ("rules", "forbidden", "way_on", "spoken"),
    [
        ([], [], None, []),
        ([lambda reader: None], [], None, []),
        ([only(0, 1, 2, 3), only(2, 3, 4, 5)], [0, 1, 4, 5], None, [0, 1]),
        ([only(0, 1), only(2, 3)], [2, 3, 4, 5], None, [0]),  # the second would leave nothing, and yields
        ([only(5)], [], None, []),  # the grammar has it not
        ([only(1, 2), LeadsOn(1)], [0, 2, 3, 4, 5], 1, [0, 1]),  # one token leads on
        ([LeadsOn(2)], [2, 3, 4, 5], None, [0]),  # to one that the rule itself has not
    ],
)
def test_what_rules_forbid(rules: list, forbidden: list[int], way_on: int | None, spoken: list[int]):
    ruling = ruling_of(rules, Grammar())
    assert np.flatnonzero(ruling.forbidden).tolist() == forbidden
    assert (ruling.way_on, ruling.spoken) == (way_on, spoken)

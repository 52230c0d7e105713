"""The count model: probabilities by the formula, and all of them together one."""

import math

import numpy as np
import pytest

from melody.evaluation.ngram import ORDERS, learn


def pieces(seed: int, count: int = 5) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [np.array([0, *generator.integers(2, 6, generator.integers(3, 30)), 1]) for _ in range(count)]


def by_hand(training: list[np.ndarray], ids: list[int], context: int, size: int) -> float:
    """p of the last of ids by the formula in words."""
    probability = 1 / size
    for order in range(min(context, len(ids) - 1) + 1):
        before = tuple(ids[len(ids) - 1 - order : -1])
        followers = [
            int(piece[place])
            for piece in training
            for place in range(1, len(piece))
            if place >= order and tuple(piece[place - order : place].tolist()) == before
        ]
        if followers:
            different = len(set(followers))
            probability = (followers.count(ids[-1]) + different * probability) / (len(followers) + different)
    return probability


@pytest.mark.parametrize("context", range(ORDERS + 1))
def test_nats_are_those_of_the_formula(context: int):
    training, held_out = pieces(0), pieces(1, count=2)
    expected = -sum(
        math.log(by_hand(training, piece[: place + 1].tolist(), context, 7))
        for piece in held_out
        for place in range(1, len(piece))
    )
    assert learn(training, 7).nats(held_out)[context] == pytest.approx(expected)


def test_the_probabilities_of_all_tokens_are_one():
    training = pieces(2)
    model = learn(training, 7)
    known = training[0][:4]
    before = model.nats([known])
    shares = [np.exp(before - model.nats([np.append(known, token)])) for token in range(7)]
    assert np.sum(shares, axis=0) == pytest.approx(np.ones(ORDERS + 1))


def test_what_was_never_seen_costs_more_than_what_was():
    training = pieces(3, count=20)
    model = learn(training, 50)
    assert model.nats([np.array([0, 40, 41, 1])])[3] > 2 * model.nats([training[0][:4]])[3]

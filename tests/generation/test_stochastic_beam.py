"""Stochastic beams against the exact distribution of a first-order model, on all the pieces it can write."""

import numpy as np
import pytest
from test_beam import LONGEST, SIZE, every_piece, log_probability, toy

from melody.errors import UsageError
from melody.generation.decoders.stochastic_beam import stochastic_beam_search
from melody.generation.sampling import Sampling


def drawn(seed: int, width: int, sampling: Sampling = Sampling(), model: int = 0, count: int | None = None):
    engine, prefix = toy(model)
    generator = np.random.default_rng(seed)
    found = stochastic_beam_search(engine, prefix, [], width, sampling, generator, count or width)
    return [tuple(continuation.ids) for continuation in found]


def exact(model: int = 0) -> dict[tuple[int, ...], float]:
    engine, prefix = toy(model)
    return {ids: float(np.exp(log_probability(prefix, engine.table, ids))) for ids in every_piece()}


@pytest.mark.parametrize("width", [1, 2, 5, 30])
def test_no_two_are_alike(width: int):
    for seed in range(20):
        assert len(set(drawn(seed, width))) == width


def test_full_width_draws_every_piece_once():
    assert sorted(drawn(3, SIZE**LONGEST, count=len(every_piece()))) == sorted(every_piece())


def test_the_first_is_a_sample_and_the_second_one_without_it():
    p = exact()
    found = [drawn(seed, 2) for seed in range(3000)]
    for ids in sorted(p, key=lambda ids: -p[ids])[:6]:
        second = sum(p[first] * p[ids] / (1 - p[first]) for first in p if first != ids)
        for place, expected in ((0, p[ids]), (1, second)):
            observed = np.mean([pair[place] == ids for pair in found])
            assert abs(observed - expected) < 4 * np.sqrt(expected * (1 - expected) / len(found))


def test_the_nats_are_the_models():
    engine, prefix = toy(1)
    sampling = Sampling(temperature=0.5, top_k=2)
    for one in stochastic_beam_search(engine, prefix, [], 4, sampling, np.random.default_rng(0), 4):
        assert -sum(one.nats) == pytest.approx(log_probability(prefix, engine.table, tuple(one.ids)), abs=1e-5)


def test_the_count_changes_nothing_and_the_width_bounds_it():
    assert drawn(5, 6, count=2) == drawn(5, 6)[:2]
    with pytest.raises(UsageError, match="beam_width"):
        drawn(5, 2, count=3)


def test_the_shape_of_the_sampler_holds():
    likeliest = max(exact(), key=exact().get)
    assert drawn(1, 1, Sampling(top_k=1)) == drawn(2, 1, Sampling(top_k=1))
    assert drawn(1, 1, Sampling(temperature=0.02)) == drawn(1, 1, Sampling(top_k=1))
    assert np.mean([drawn(s, 1, Sampling(temperature=0.3))[0] == likeliest for s in range(100)]) > exact()[likeliest]

"""Beam search against exhaustive search, on a first-order model over a handful of tokens."""

from itertools import product

import numpy as np
import pytest
from support.fakes import TableEngine

from melody.errors import UsageError
from melody.generation.decoders.beam import beam_search, length_norm
from melody.generation.decoders.sampling import sample
from melody.generation.prefix import Prefix
from melody.generation.sampling import Sampling

SIZE, END, LONGEST = 4, 0, 5


class ToyReader:
    """Four tokens, of which 0 ends; at most five may be read."""

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.ids = {"End": range(END, END + 1)}
        self.context = np.zeros(1, np.int16)

    def copy(self) -> "ToyReader":
        return ToyReader(self.count)

    def read(self, token: int) -> None:
        self.count += 1

    def ends_with(self, token: int) -> bool:
        return token == END

    def allow(self) -> np.ndarray:
        return np.arange(SIZE) <= (SIZE if self.count < LONGEST - 1 else END)


def toy(seed: int) -> tuple[TableEngine, Prefix]:
    table = np.random.default_rng(seed).normal(size=(1, SIZE, SIZE)).astype(np.float32) * 2
    engine = TableEngine(table)
    return engine, Prefix(ToyReader(), engine.start(1), table[0, 1])


def log_probability(prefix: Prefix, table: np.ndarray, ids: tuple[int, ...]) -> float:
    total, row = 0.0, prefix.logits.astype(float)
    for count, token in enumerate(ids):
        lawful = np.where(np.arange(SIZE) <= (SIZE if count < LONGEST - 1 else END), row, -np.inf)
        total += lawful[token] - np.log(np.exp(lawful).sum())
        row = table[0, token].astype(float)
    return total


def every_piece() -> list[tuple[int, ...]]:
    return [(*body, END) for length in range(LONGEST) for body in product(range(1, SIZE), repeat=length)]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_full_width_finds_the_best_pieces_of_all(seed: int, alpha: float):
    engine, prefix = toy(seed)
    best = sorted(
        every_piece(), key=lambda ids: -log_probability(prefix, engine.table, ids) / length_norm(len(ids), alpha)
    )
    found = beam_search(engine, prefix, [], width=SIZE**LONGEST, length_penalty=alpha, count=3)
    assert [tuple(c.ids) for c in found] == best[:3]
    assert -sum(found[0].nats) == pytest.approx(log_probability(prefix, engine.table, best[0]), abs=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_width_one_is_greedy(seed: int):
    engine, prefix = toy(seed)
    greedy = sample(engine, [prefix], [], Sampling(temperature=0), [np.random.default_rng(0)])[0]
    assert beam_search(engine, prefix, [], width=1)[0].ids == greedy.ids


def test_a_wider_beam_is_never_worse_than_greedy():
    for seed in range(20):
        engine, prefix = toy(seed)
        nats = [sum(beam_search(engine, prefix, [], width=width)[0].nats) for width in (1, SIZE**LONGEST)]
        assert nats[1] <= nats[0] + 1e-6


def test_more_takes_than_hypotheses_are_refused():
    engine, prefix = toy(0)
    with pytest.raises(UsageError, match="beam_width"):
        beam_search(engine, prefix, [], width=2, count=3)

"""Training the planner: it learns what plans have in common, and numpy draws from what torch has learned."""

import numpy as np
import pytest
import torch

from melody.learning import plan_model
from melody.learning.plan_model import Planned, learn_planner, nats_per_bar, ngram_nats_per_bar
from melody.tokens.plan import FIRST, NEW, Symbol
from melody.tokens.planner import SHAPES, Outline, Planner

TUNE = Planned((FIRST, *(NEW,) * 7, *(Symbol(8, 4),) * 8), Outline(0, 16, (4, 4)))
GROOVE = Planned((FIRST, *(Symbol(1, 3),) * 15), Outline(0, 16, (3, 4)))


def test_it_learns_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_model, "LEAST_STEPS", 60)
    planner = learn_planner([TUNE, GROOVE] * 16, [TUNE, GROOVE])
    drawn = planner.draw((), 16, TUNE.outline, np.random.default_rng(0))
    assert sum(a == b for a, b in zip(drawn.symbols, TUNE.symbols, strict=True)) >= 14
    assert nats_per_bar(planner, [TUNE, GROOVE]) < ngram_nats_per_bar([TUNE, GROOVE], [TUNE, GROOVE])


def test_a_small_corpus_says_nothing_of_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_model, "LEAST_STEPS", 4)
    planner = learn_planner([TUNE, GROOVE], [TUNE])
    for bars in (None, 5, 200):
        assert planner.nats(TUNE.symbols, Outline(0, bars)) == planner.nats(TUNE.symbols, Outline(0, 16))


def test_numpy_runs_what_torch_trains() -> None:
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in SHAPES.items()}
    rows, *drawn = plan_model._batch([TUNE, GROOVE], np.random.default_rng(0), 0.0)
    weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    nats = float(plan_model._nats(weights, rows, drawn, 0.0))
    assert nats == pytest.approx(32 * nats_per_bar(Planner.of(tensors), [TUNE, GROOVE]), rel=1e-3)

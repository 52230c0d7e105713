"""Training the rewriter: samples hide what they say, it learns what both sides tell, and a bundle gets it."""

import numpy as np
import pytest
import torch

from melody.learning import rewriter_model
from melody.learning.rewriter_model import SungPiece, sample_of, trained
from melody.tokens.cells import BEGINS, HIDDEN, OUTSIDE, SOUNDS, Grid, ground_of


def piece(up: int = 0) -> SungPiece:
    """Two voices in quarters: the lower one follows the upper, an octave below."""
    steps = np.array([0, 2, 4, 5, 7, 5, 4, 2] * 5) + 40 + up
    cells = np.stack([np.repeat(BEGINS + steps, 4), np.repeat(BEGINS + steps - 12, 4)], axis=1)
    cells[np.arange(len(cells)) % 4 > 0] += SOUNDS - BEGINS
    return SungPiece(Grid(cells, ground_of([0, 96], len(cells), 0)), (-2, 2))


def test_samples_hide_what_is_learned_and_show_the_rest() -> None:
    sample = sample_of([piece(), piece(3)], np.random.default_rng(0), 64)
    assert (sample.seen[sample.learned] == HIDDEN).all()
    shown = sample.seen != HIDDEN
    inside = shown & (sample.seen != OUTSIDE)
    assert (sample.seen[inside] == sample.target[inside]).all()
    assert sample.learned.any(axis=(1, 2)).mean() > 0.9
    assert (sample.seen == OUTSIDE).any()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"BATCH": 4, "WINDOW": 32, "WIDTH": 32, "LAYERS": 1, "HEADS": 2, "HELD_OUT": 2, "DECAY": 0.5, "WARMUP": 1}
    for name, value in sizes.items():
        monkeypatch.setattr(rewriter_model, name, value)


def test_it_learns_what_both_sides_tell(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriter_model, "LEARNING_RATE", 1e-2)
    nats = [nats for _, nats, _ in trained([piece(up) for up in range(4)], [piece(1)], steps=30)]
    assert nats[-1] < 0.75 * nats[0]


def test_the_same_seed_trains_the_same_weights(small: None) -> None:
    first, second = ([model for _, _, model in trained([piece()], [piece()], steps=2)][-1] for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)

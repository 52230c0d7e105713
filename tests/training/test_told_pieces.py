"""Conditions: what a piece is conditioned on reaches the carry where the piece starts, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.counting import CHANNELS, LENGTHS, VOCABULARY, Counting, assert_same_run, configuration
from torch import Tensor, nn

from melody.models import MODELS
from melody.models.carry import Carry
from melody.training import evaluate, train
from melody.training.lanes import Lanes, Window


class Told(nn.Module):
    """A model that is told by which step its pieces count: the condition is all that it has beside the token."""

    def __init__(self, vocabulary_size: int, channel_sizes: Any, intervals: Any = None, **options: Any) -> None:
        super().__init__()
        self.encoder = nn.Embedding(VOCABULARY, 24)
        self.embedding = nn.Embedding(vocabulary_size, 24)
        self.channels = nn.ModuleList()
        self.mix = nn.Sequential(nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, vocabulary_size))

    def start(self, batch_size: int, condition: Carry | None = None) -> dict[str, Tensor]:
        if condition is None:
            return {"told": torch.zeros(batch_size, 24)}
        assert isinstance(condition, dict)
        return {"told": self.encoder(condition["step"][:, 0]).float()}  # type: ignore[call-overload, index]

    def forward(self, tokens: Tensor, carry: Any, context: Tensor) -> tuple[Tensor, Any]:
        told = carry["told"][:, None].expand(-1, tokens.shape[1], -1)
        return self.mix(torch.cat([self.embedding(tokens), told], dim=2)), carry


class Steps(Counting):
    """Pieces that count by a step of their own, which is their condition."""

    def fetch(self, piece: int, generator: np.random.Generator) -> Any:
        ids, _ = super().fetch(piece, generator)
        step = 1 + piece % 4
        ids = (ids[0] + step * np.arange(len(ids))) % VOCABULARY
        return ids, (ids % CHANNELS[0])[:, None], {"step": np.array([step])}


def test_a_window_carries_the_conditions_of_the_pieces_that_start_in_it() -> None:
    windows = list(Lanes(Steps(LENGTHS), 3, 8).windows(0))
    for window in windows:
        starting = window.reset & window.mask[:, 0]
        assert (window.condition is not None) == bool(starting.any())
        if window.condition is None:
            continue
        told = window.condition["step"][:, 0]  # type: ignore[call-overload, index]
        assert torch.equal(told > 0, starting)
        moved = (window.targets[:, 0] - window.tokens[:, 0]) % VOCABULARY
        assert torch.equal(told[starting], moved[starting])
    assert any(window.condition is None for window in windows)


def test_a_piece_begins_from_its_condition_and_the_others_go_on() -> None:
    reset = torch.tensor([True, False, True])
    window = Window(*[torch.zeros(3, 2)] * 4, reset, {"x": torch.tensor([5.0, 0.0, 7.0])})
    begun = window.begin(torch.full((3,), 9.0), torch.zeros(3), lambda batch, condition: condition["x"])  # type: ignore[call-overload, index]
    assert begun.tolist() == [5.0, 9.0, 7.0]  # type: ignore[union-attr]
    untold = Window(*[torch.zeros(3, 2)] * 4, reset).begin(torch.full((3,), 9.0), torch.zeros(3), lambda *_: begun)
    assert untold.tolist() == [0.0, 9.0, 0.0]  # type: ignore[union-attr]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "residual_lstm", Told)  # what the configuration names


@pytest.mark.usefixtures("told")
def test_what_a_piece_is_conditioned_on_is_learned_and_told_in_evaluation_too(tmp_path: Path) -> None:
    valid = Steps([21, 13, 8, 17], augment=False)
    config = configuration(max_passes=40, optimizer={"learning_rate": 0.02, "warmup_steps": 5})
    result = train(config, Steps(LENGTHS), valid, VOCABULARY, CHANNELS, tmp_path)
    assert result.best_nats_per_note is not None
    assert result.best_nats_per_note * valid.notes.sum() / (valid.lengths - 1).sum() < 0.3  # untold: ln 4
    blind = evaluate(Told(VOCABULARY, CHANNELS), valid)
    assert blind is not None
    assert blind.nats_per_token > 1.5


@pytest.mark.usefixtures("told")
def test_a_conditioned_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    valid = Steps([21, 13, 8], augment=False)
    for folder, passes in (("whole", 2), ("parts", 1), ("parts", 2)):
        config = configuration(max_passes=passes)
        train(config, Steps(LENGTHS), valid, VOCABULARY, CHANNELS, tmp_path / folder)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")

"""The parts of training by themselves: loss, schedule, optimizer, evaluation, checkpoints."""

import errno
import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from support.counting import CHANNELS, VALID, VOCABULARY, configuration, newest
from torch import Tensor, nn

from melody.errors import MelodyError, UnreadableFile
from melody.models import build
from melody.training import evaluate
from melody.training.checkpoint import load_newest, save_checkpoint
from melody.training.objectives.cross_entropy import cross_entropy
from melody.training.schedule import learning_rate
from melody.training.state import make_optimizer


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False]])
    nats, count = cross_entropy(torch.zeros(2, 3, 7), torch.tensor([[1, 2, 3], [4, 5, 6]]), mask)
    assert count == 3
    assert nats.item() == pytest.approx(3 * math.log(7))


def test_masked_places_cost_nothing_and_move_nothing() -> None:
    logits = torch.randn(2, 3, 7, requires_grad=True)
    mask = torch.tensor([[True, False, False], [False, False, False]])
    nats, _ = cross_entropy(logits, torch.ones(2, 3, dtype=torch.long), mask, smoothing=0.1)
    nats.backward()
    assert logits.grad is not None
    assert logits.grad[~mask].eq(0).all()
    assert logits.grad[mask].ne(0).all()
    assert cross_entropy(logits, torch.ones(2, 3, dtype=torch.long), torch.zeros(2, 3, dtype=torch.bool))[0] == 0


def test_the_learning_rate_rises_falls_and_rests() -> None:
    rates = [learning_rate(n, peak=2.0, warmup_steps=10, total_steps=100, floor=0.1) for n in range(130)]
    assert rates[:10] == pytest.approx([0.2 * (n + 1) for n in range(10)])
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert all(one > other for one, other in pairwise(rates[10:101]))
    assert rates[55] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert rates[100:] == pytest.approx([0.2] * 30)
    assert learning_rate(0, peak=2.0, warmup_steps=0, total_steps=0, floor=0.1) == 2.0


def test_biases_and_embeddings_do_not_decay() -> None:
    model = build("residual_lstm", VOCABULARY, CHANNELS, **configuration().model.options())
    decaying, others = make_optimizer(model, configuration().optimizer).param_groups
    names = {id(weight): name for name, weight in model.named_parameters()}
    assert {names[id(weight)].split(".")[-1] for weight in decaying["params"]} == {
        "weight_ih_l0",
        "weight_hh_l0",
        "weight",
    }
    assert decaying["weight_decay"] > 0 == others["weight_decay"]
    assert {"embedding.weight", "channels.0.weight", "attention.distance_bias"} <= {
        names[id(weight)] for weight in others["params"]
    }
    assert len(names) == len(decaying["params"]) + len(others["params"])


def test_what_is_new_to_a_base_has_a_rate_of_its_own() -> None:
    model = build("residual_lstm", VOCABULARY, CHANNELS, **configuration().model.options())
    config = configuration(optimizer={"new_channels": 20}).optimizer
    _, others, new = make_optimizer(model, config, {"channels.0.weight"}).param_groups
    assert [id(weight) for weight in new["params"]] == [id(model.channels[0].weight)]
    assert id(model.channels[0].weight) not in map(id, others["params"])
    assert (others["times"], new["times"]) == (1, 20)


class Uniform(nn.Module):
    """A model that knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def start(self, batch_size: int, condition: Any = None) -> Tensor:
        return torch.zeros(batch_size, 1)

    def forward(self, tokens: Tensor, carry: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(*tokens.shape, VOCABULARY) + self.nothing, carry


def test_a_model_that_knows_nothing_costs_the_logarithm_of_the_vocabulary() -> None:
    result = evaluate(Uniform(), VALID, batch_size=2, window=5)
    assert result is not None
    assert result.tokens == VALID.lengths.sum() - 3  # BOS is given, EOS counts
    assert result.notes == VALID.notes.sum()
    assert result.nats_per_token == pytest.approx(math.log(VOCABULARY))
    assert result.nats_per_note == pytest.approx(math.log(VOCABULARY) * result.tokens / result.notes)


class TooSure(nn.Module):
    """A model whose logits are nine times what they should be."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.start = model.start

    def forward(self, tokens: Tensor, carry: Any, context: Tensor) -> tuple[Tensor, Any]:
        logits, carry = self.model(tokens, carry, context)
        return 9 * logits, carry


def test_who_is_too_sure_is_judged_at_a_temperature() -> None:
    torch.manual_seed(0)
    model = build("residual_lstm", VOCABULARY, CHANNELS, **configuration().model.options())
    sure = TooSure(model)
    one, other, doubtful = evaluate(model, VALID), evaluate(sure, VALID, temperature=9), evaluate(sure, VALID)
    assert one is not None
    assert other is not None
    assert doubtful is not None
    assert other.nats == pytest.approx(one.nats, rel=1e-5)
    assert doubtful.nats > 1.01 * one.nats
    assert (one.temperature, other.temperature) == (1.0, 9.0)


@pytest.mark.parametrize(("batch_size", "window"), [(1, 3), (2, 8), (5, 100)])
def test_evaluation_depends_on_neither_batch_nor_window(batch_size: int, window: int) -> None:
    torch.manual_seed(0)
    model = build("residual_lstm", VOCABULARY, CHANNELS, **configuration().model.options())
    one = evaluate(model, VALID, batch_size=batch_size, window=window)
    other = evaluate(model, VALID, batch_size=3, window=21)
    assert one is not None
    assert other is not None
    assert one.nats == pytest.approx(other.nats, rel=1e-5)
    assert model.training  # as it was


def test_a_checkpoint_comes_back_and_keeps_the_one_before(tmp_path: Path) -> None:
    for number in range(3):
        save_checkpoint(tmp_path, "last", {"a": torch.full((2,), number), "b.c": torch.rand(3, 3)}, {"number": number})
    assert newest(tmp_path)[1] == {"number": 2}
    assert newest(tmp_path)[0]["a"].tolist() == [2, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.previous.safetensors", "last.safetensors"]
    assert newest(tmp_path, "last.previous")[1] == {"number": 1}


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, "last", {"a": torch.zeros(2)}, {"number": 0})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MelodyError, match="No space left on device"):
        save_checkpoint(tmp_path, "last", {"a": torch.ones(2)}, {"number": 1})
    assert newest(tmp_path)[1] == {"number": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    for number in range(2):
        save_checkpoint(tmp_path, "last", {"a": torch.zeros(99)}, {"number": number})
    path = tmp_path / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    assert newest(tmp_path)[1] == {"number": 0}
    (tmp_path / "last.previous.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnreadableFile, match="damaged"):
        load_newest(tmp_path, "last")
    assert load_newest(tmp_path, "best") is None

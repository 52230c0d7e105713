"""What training promises: every token once, limits of loss and schedule, runs that go on as if never stopped."""

import csv
import errno
import math
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from melody.config import TrainConfig, check_config
from melody.errors import ConfigError, MelodyError, UnreadableFile
from melody.models import build
from melody.storage.locks import locked
from melody.training import evaluate, load_best, train
from melody.training import step as step_module
from melody.training.checkpoint import load_newest, save_checkpoint
from melody.training.lanes import Lanes, Window
from melody.training.objectives.cross_entropy import cross_entropy
from melody.training.schedule import learning_rate
from melody.training.signals import caught_signals
from melody.training.state import make_optimizer

VOCABULARY, CHANNELS = 11, [4]


class Counting:
    """Pieces that count upwards from anywhere; fetching shifts the start by chance."""

    def __init__(self, lengths: list[int], augment: bool = True) -> None:
        self.lengths = np.array(lengths)
        self.notes = self.lengths // 3
        self.augment = augment
        self.fetched = 0

    def fetch(self, piece: int, generator: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        self.fetched += 1
        start = piece + (int(generator.integers(0, VOCABULARY)) if self.augment else 0)
        ids = (start + np.arange(self.lengths[piece])) % VOCABULARY
        return ids, (ids % CHANNELS[0])[:, None]


class Killing(Counting):
    """A source that sends its own process a signal when a piece is fetched for the n-th time."""

    def __init__(self, lengths: list[int], after: int, number: signal.Signals) -> None:
        super().__init__(lengths)
        self.after, self.number = after, number

    def fetch(self, piece: int, generator: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        if self.fetched == self.after:
            os.kill(os.getpid(), self.number)
        return super().fetch(piece, generator)


LENGTHS = [30, 9, 17, 22, 5, 12, 26, 14, 8, 19]
VALID = Counting([21, 13, 8], augment=False)


def configuration(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "name": "test",
        "corpus": "none",
        "model": {"hidden_size": 16, "layers": 2, "weight_dropout": 0.1, "attention": {"heads": 2, "memory": 5}},
        "data": {"batch_size": 4, "window": 8},
        "optimizer": {"learning_rate": 0.02, "warmup_steps": 5, "passes": 6},
        "ema_decay": 0.9,
        "max_passes": 3,
        "threads": 1,
        "tensorboard": False,
    }
    return check_config({**values, **changes})


def trained(folder: Path, source: Counting | None = None, **changes: Any) -> Any:
    return train(configuration(**changes), source or Counting(LENGTHS), VALID, VOCABULARY, CHANNELS, folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {k: v for k, v in row.items() if k not in ("tokens_per_second", "seconds")} for row in csv.DictReader(file)
        ]


def newest(folder: Path, name: str = "last") -> tuple[dict[str, Tensor], dict[str, Any]]:
    found = load_newest(folder, name)
    assert found is not None
    return found


def assert_same_run(one: Path, other: Path) -> None:
    tensors, again = newest(one)[0], newest(other)[0]
    assert tensors.keys() == again.keys()
    assert [name for name in tensors if not torch.equal(tensors[name], again[name])] == []
    for table in ("steps.csv", "evaluations.csv"):
        assert rows_of(one / table) == rows_of(other / table)


# --- lanes ---------------------------------------------------------------------------------------------------------


def windows_by_lane(windows: list[Window], lane: int) -> list[list[int]]:
    """The targets of a lane, one list for each piece."""
    pieces: list[list[int]] = []
    for window in windows:
        if window.reset[lane]:
            pieces.append([])
        pieces[-1] += window.targets[lane][window.mask[lane]].tolist()
    return [piece for piece in pieces if piece]


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=12),
    batch_size=st.integers(1, 5),
    window=st.integers(1, 9),
    pass_=st.integers(0, 3),
)
def test_every_token_is_a_target_once_a_pass(lengths: list[int], batch_size: int, window: int, pass_: int) -> None:
    lanes = Lanes(Counting(lengths, augment=False), batch_size, window)
    windows = list(lanes.windows(pass_))
    assert len(windows) == lanes.windows_in_pass()
    read = [piece for lane in range(batch_size) for piece in windows_by_lane(windows, lane)]
    expected = [((piece + 1 + np.arange(length - 1)) % VOCABULARY).tolist() for piece, length in enumerate(lengths)]
    assert sorted(read) == sorted(expected)


def test_targets_follow_tokens_and_padding_is_zero() -> None:
    for window in Lanes(Counting(LENGTHS), 4, 8).windows(0):
        assert torch.equal(window.targets[window.mask], (window.tokens[window.mask] + 1) % VOCABULARY)
        assert torch.equal(window.context[window.mask][:, 0], window.tokens[window.mask] % CHANNELS[0])
        for part in (window.tokens, window.targets, window.context):
            assert not part[~window.mask].any()
        steps = window.tokens[:, 1:][window.mask[:, 1:]] - window.tokens[:, :-1][window.mask[:, 1:]]
        assert set((steps % VOCABULARY).tolist()) <= {1}  # no window holds two pieces


def test_a_position_is_all_it_takes_to_go_on() -> None:
    lanes = Lanes(Counting(LENGTHS), 4, 8, seed=3)
    whole = list(lanes.windows(2))
    for first in range(len(whole) + 1):
        rest = list(Lanes(Counting(LENGTHS), 4, 8, seed=3).windows(2, first))
        assert len(rest) == len(whole) - first
        for one, other in zip(rest, whole[first:], strict=True):
            assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)


def test_passes_and_seeds_differ_in_order_and_augmentation() -> None:
    lanes = Lanes(Counting(LENGTHS), 2, 8)
    first, second, other = next(lanes.windows(0)), next(lanes.windows(1)), next(Lanes(lanes.source, 2, 8, 1).windows(0))
    assert not torch.equal(first.tokens, second.tokens)
    assert not torch.equal(first.tokens, other.tokens)
    assert lanes.deal(0) != lanes.deal(1)


def test_lanes_are_about_equally_long() -> None:
    lanes = Lanes(Counting(np.random.default_rng(0).integers(50, 900, 300).tolist()), 32, 128)
    filled = [lanes.windows_of_pieces()[lane].sum() for lane in lanes.deal(0)]
    assert max(filled) - min(filled) <= 1


def test_ranks_share_the_lanes_of_one_process() -> None:
    whole = list(Lanes(Counting(LENGTHS), 4, 8).windows(1))
    shares = [list(Lanes(Counting(LENGTHS), 4, 8, 0, rank, 2).windows(1)) for rank in range(2)]
    for window, *parts in zip(whole, *shares, strict=True):
        assert torch.equal(window.tokens, torch.cat([part.tokens for part in parts]))
        assert torch.equal(window.reset, torch.cat([part.reset for part in parts]))


# --- loss, schedule, optimizer, evaluation --------------------------------------------------------------------------


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


class Uniform(nn.Module):
    """A model that knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def initial_carry(self, batch_size: int, device: torch.device | str | None = None) -> Tensor:
        return torch.zeros(batch_size, 1, device=device)

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
        self.initial_carry = model.initial_carry

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


# --- checkpoints ----------------------------------------------------------------------------------------------------


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


# --- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_learns_and_leaves_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # in fp32, as the evaluation below that is to find the same
    result = trained(tmp_path / "run", max_passes=6, tensorboard=True, precision="32-true")
    assert (result.stopped, result.exit_code, result.passes) == ("max_passes", 0, 6)
    costs = [float(row["nats_per_note"]) for row in rows_of(tmp_path / "run" / "evaluations.csv")]
    assert len(costs) == 6
    assert min(costs) == result.best_nats_per_note < 0.6 * costs[0]
    weights, info = load_best(tmp_path / "run")
    model = build(info["config"]["model"].pop("name"), VOCABULARY, CHANNELS, **info["config"]["model"])
    model.load_state_dict(weights)
    again = evaluate(model, VALID)
    assert again is not None
    assert again.nats_per_note == pytest.approx(result.best_nats_per_note, rel=1e-5)
    assert info["valid"]["nats_per_note"] == result.best_nats_per_note
    assert any((tmp_path / "run" / "tensorboard").iterdir())
    assert "valid" in capsys.readouterr().out
    steps = rows_of(tmp_path / "run" / "steps.csv")
    assert [int(row["step"]) for row in steps] == list(range(1, result.steps + 1))
    assert float(steps[4]["learning_rate"]) == 0.02  # the end of the warm-up


def test_a_run_goes_on_bit_for_bit_after_a_pass(tmp_path: Path) -> None:
    trained(tmp_path / "whole", max_passes=3)
    trained(tmp_path / "parts", max_passes=1)
    trained(tmp_path / "parts", max_passes=3)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(("after", "number"), [(2, signal.SIGTERM), (13, signal.SIGINT)])
def test_a_run_goes_on_bit_for_bit_after_a_signal(tmp_path: Path, after: int, number: signal.Signals) -> None:
    trained(tmp_path / "whole")
    result = trained(tmp_path / "parts", Killing(LENGTHS, after, number))
    assert (result.stopped, result.exit_code) == (number.name, 128 + number)
    assert newest(tmp_path / "parts")[1]["progress"]["window"] > 0
    trained(tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_rows_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    trained(tmp_path, max_passes=1)
    with (tmp_path / "steps.csv").open("a") as file:
        file.write("999,0,1.0,1.0,1.0,1\n1000,0,")  # of a process that was killed
    trained(tmp_path, max_passes=2)
    steps = [row["step"] for row in rows_of(tmp_path / "steps.csv")]
    assert steps == [str(n + 1) for n in range(len(steps))]


def test_a_signal_in_an_evaluation_leaves_it_due(tmp_path: Path) -> None:
    killing = Killing([21, 13, 8], 4, signal.SIGTERM)  # the second evaluation
    killing.augment = False
    result = train(configuration(), Counting(LENGTHS), killing, VOCABULARY, CHANNELS, tmp_path / "parts")
    assert result.stopped == "SIGTERM"
    assert len(rows_of(tmp_path / "parts" / "evaluations.csv")) == 1
    trained(tmp_path / "parts")
    trained(tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_patience_and_minutes_end_a_run(tmp_path: Path) -> None:
    still = {"learning_rate": 1e-12, "warmup_steps": 0}
    result = trained(tmp_path / "patience", optimizer=still, evaluation={"patience": 2}, max_passes=50, ema_decay=0.0)
    assert result.stopped == "patience"
    assert result.passes - result.best_pass == 2
    result = trained(tmp_path / "minutes", max_minutes=1e-6, max_passes=50)
    assert (result.stopped, result.steps) == ("max_minutes", 1)
    assert result.best_nats_per_note is not None


def test_the_last_weights_are_evaluated_in_any_case(tmp_path: Path) -> None:
    result = trained(tmp_path, max_passes=3, evaluation={"every": 2})
    assert [row["pass"] for row in rows_of(tmp_path / "evaluations.csv")] == ["2", "3"]
    assert result.best_pass == 3


def poisoned(monkeypatch: pytest.MonkeyPatch, bad: set[int]) -> None:
    """Let the loss of some steps have no finite value."""
    calls = iter(range(10**6))

    def loss(logits: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        nats, count = cross_entropy(logits, *rest)
        return nats * (math.nan if next(calls) in bad else 1.0), count

    monkeypatch.setattr(step_module, "cross_entropy", loss)


def test_a_step_without_a_finite_loss_is_skipped_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poisoned(monkeypatch, {2, 3, 5})
    trained(tmp_path)
    tensors, info = newest(tmp_path)
    assert info["progress"]["skipped"] == 3
    assert all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())
    assert capsys.readouterr().out.count("no finite loss; skipped") == 3


def test_three_in_a_row_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, {2, 3, 4})
    with pytest.raises(MelodyError, match=r"3 steps in a row without a finite loss; lower optimizer\.learning_rate"):
        trained(tmp_path)


def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path, "trains here"), pytest.raises(MelodyError, match=f"process {os.getpid()} trains here"):
        trained(tmp_path)
    trained(tmp_path, max_passes=1)


def test_another_model_does_not_go_on_with_a_run(tmp_path: Path) -> None:
    trained(tmp_path, max_passes=1)
    with pytest.raises(ConfigError, match=r"its run has model\.layers = 2, the configuration 1; choose another --run"):
        trained(tmp_path, model={"hidden_size": 16, "layers": 1, "weight_dropout": 0.1})
    with pytest.raises(ConfigError, match=r"its run has data\.window = 8, the configuration 9"):
        trained(tmp_path, data={"batch_size": 4, "window": 9})


def test_signals_are_given_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with caught_signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


SCRIPT = """
import sys, numpy as np
from pathlib import Path
from tests.training.test_training import Counting, LENGTHS, trained
result = trained(Path(sys.argv[1]), max_passes=10**6, evaluation={"patience": None, "every": 10**6})
sys.exit(result.exit_code)
"""


def test_sigterm_saves_and_exits_143_within_five_seconds(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=root, env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "steps.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        with pytest.raises(MelodyError, match=f"process {process.pid} trains here"):
            trained(tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 143
    finally:
        process.kill()
        process.wait()
    progress = newest(tmp_path)[1]["progress"]
    assert progress["step"] == len(rows_of(tmp_path / "steps.csv")) > 0


DISTRIBUTED = """
import sys
from pathlib import Path
from tests.training.test_training import trained

if __name__ == "__main__":
    folder, devices, passes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    model = {"hidden_size": 16, "layers": 2, "dropout": 0.0}  # ranks would draw different masks
    trained(folder, model=model, devices=devices, max_passes=passes, precision="32-true")
"""


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    script = tmp_path / "script.py"
    script.write_text(DISTRIBUTED, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    for folder, devices, passes in (("one", 1, 2), ("two", 2, 2), ("parts", 2, 1), ("parts", 2, 2)):
        command = [sys.executable, str(script), str(tmp_path / folder), str(devices), str(passes)]
        subprocess.run(command, cwd=root, env=environment, check=True, timeout=100)
    one, two = (rows_of(tmp_path / folder / "steps.csv") for folder in ("one", "two"))
    costs = [[float(row["nats_per_token"]) for row in rows] for rows in (one, two)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-4)
    assert_same_run(tmp_path / "two", tmp_path / "parts")

"""Runs: they learn, stop for a reason, and go on as if they had never stopped."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.counting import (
    CHANNELS,
    LENGTHS,
    VALID,
    VOCABULARY,
    Counting,
    Killing,
    assert_same_run,
    configuration,
    newest,
    rows_of,
    trained,
)
from torch import Tensor

from melody.errors import ConfigError, MelodyError
from melody.models import MODELS, build
from melody.storage.locks import locked
from melody.tokens.clock import ClockView
from melody.tokens.given import STEP, GivenView
from melody.training import evaluate, load_best, loop, train
from melody.training.objectives import cross_entropy as objective_module
from melody.training.objectives.cross_entropy import cross_entropy
from melody.training.signals import caught_signals


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


SMALL: dict[str, dict[str, Any]] = {name: {"name": name, "hidden_size": 16, "layers": 2} for name in MODELS}
SMALL["clockwork_lstm"] |= {"beat": 4, "bar": 3, "phrase": 2}
SMALL["encoder_decoder"] |= {"encoder_size": 8, "encoder_layers": 1, "steps": 8}
CLOCK = ClockView(  # each value of the one channel is a beat, two of them are a phrase, and a bar begins with token 1
    columns=np.array([0, 0, 0]),
    bars=np.eye(VOCABULARY, dtype=np.float32)[1],
    beats=np.diag(np.arange(1, 1 + CHANNELS[0], dtype=np.float32)),
    phrases=np.arange(CHANNELS[0], dtype=np.float32) // 2,
)
GIVEN = GivenView(  # of nothing: the pieces that count tell of none
    names=("given_0",),
    sizes=(3,),
    columns=np.array([0, 0]),
    bar=1,
    lengths=np.full(CHANNELS[0], 4 * STEP),
)
VIEWS: dict[str, dict[str, Any]] = {"clockwork_lstm": {"clock": CLOCK}, "encoder_decoder": {"given": GIVEN}}


@pytest.mark.parametrize("name", MODELS)
def test_a_run_goes_on_bit_for_bit_after_a_pass(tmp_path: Path, name: str) -> None:
    for folder, passes in (("whole", 3), ("parts", 1), ("parts", 3)):
        trained(tmp_path / folder, views=VIEWS.get(name), max_passes=passes, model=SMALL[name])
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
    """Let the loss of some steps have no finite value; nothing is estimated, which would take steps too."""
    monkeypatch.setattr(loop, "estimate", lambda *_: SimpleNamespace(line=lambda *_, **__: "cost: nothing"))
    calls = iter(range(10**6))

    def loss(logits: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        nats, count = cross_entropy(logits, *rest)
        return nats * (math.nan if next(calls) in bad else 1.0), count

    monkeypatch.setattr(objective_module, "cross_entropy", loss)


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
    with pytest.raises(ConfigError, match=r"its run has model\.layers = 2, the configuration 1; choose another `run`"):
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
from types import SimpleNamespace
from tests.support.counting import Counting, LENGTHS, trained
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
from types import SimpleNamespace
from tests.support.counting import trained

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

"""`melody runs` and what a run shows of itself: its state and scores, its curve, what its model composes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from support.counting import LENGTHS, VALID, Counting, assert_same_run, configuration, trained
from support.tiny_bundle import write_bundle

import melody
from melody.cli import run
from melody.errors import MelodyError
from melody.learning.runs import find_runs
from melody.storage.locks import is_locked, locked
from melody.training import Sample, train

VOCABULARY, CHANNELS = 11, [4]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: one at its end, one that ran out of patience, one that was told to stop."""
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "whole", max_passes=2)
    still = {"learning_rate": 1e-12, "warmup_steps": 0}
    trained(folder / "patient", optimizer=still, evaluation={"patience": 1}, max_passes=50, ema_decay=0.0)
    trained(folder / "parts", max_passes=1)
    return folder


def state_of(root: Path, name: str) -> str:
    return next(one.state for one in find_runs(root) if Path(one.folder).name == name)


def test_runs_say_how_far_they_are(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", str(root), "--json"]) == 0
    found = {Path(one["folder"]).name: one for one in json.loads(capsys.readouterr().out)["runs"]}
    assert found["whole"]["state"] == found["patient"]["state"] == "finished"
    assert (found["whole"]["passes"], found["whole"]["max_passes"], found["whole"]["best_pass"]) == (2, 2, 2)
    assert found["whole"]["best_nats_per_note"] > 0
    assert found["whole"]["tokens_per_second"] > 0
    assert found["whole"]["bytes"] > 10_000
    assert run(["runs", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert f"{found['whole']['best_nats_per_note']:.4f}" in next(line for line in lines if "whole" in line)


def test_a_run_that_is_held_is_running(root: Path) -> None:
    assert not is_locked(root / "whole")
    with locked(root / "whole", "trains here"):
        assert is_locked(root / "whole")
        assert state_of(root, "whole") == "running"
    assert state_of(root, "whole") == "finished"


def test_a_run_that_was_stopped_says_so(root: Path, tmp_path: Path) -> None:
    import signal

    from support.counting import Killing

    trained(tmp_path / "told", Killing(LENGTHS, 13, signal.SIGTERM))
    assert state_of(tmp_path, "told") == "stopped"
    assert not (tmp_path / "told" / "curve.png").exists()  # it had five seconds
    whole = tmp_path / "told" / "last.safetensors"
    whole.write_bytes(whole.read_bytes()[:-5])
    assert state_of(tmp_path, "told") == "stopped"  # by the checkpoint before
    (tmp_path / "told" / "last.previous.safetensors").write_bytes(b"\xff" * 20)
    assert state_of(tmp_path, "told") == "damaged"


def checkpoint(path: Path, header: object) -> None:
    """A file that begins as safetensors does, with four bytes of tensors."""
    path.parent.mkdir(parents=True)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))


def test_foreign_checkpoints_are_damaged_runs_and_hide_no_others(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "whole", tmp_path / "whole")
    tensors = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    older = {"progress": {"pass_": 1}, "config": {"name": "x"}}
    for name, known in {"older": older, "empty": {}, "list": [1], "parts": {"progress": [1], "config": 2}}.items():
        checkpoint(tmp_path / name / "last.safetensors", {"__metadata__": {"melody": json.dumps(known)}, **tensors})
    for name, header in {"foreign": tensors, "numbers": [1, 2, 3]}.items():
        checkpoint(tmp_path / name / "last.safetensors", header)
    states = {Path(one.folder).name: one.state for one in find_runs(tmp_path)}
    assert states.pop("whole") == "finished"
    assert states == dict.fromkeys(("older", "empty", "list", "parts", "foreign", "numbers"), "damaged")
    assert run(["runs", str(tmp_path)]) == 0


def test_no_runs_are_said_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", str(tmp_path / "nothing")]) == 0
    assert "no runs in" in capsys.readouterr().out


def test_listing_runs_needs_no_torch(root: Path) -> None:
    code = "import sys; from melody.cli import run; run(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "runs", str(root)]
    assert subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, timeout=60).returncode == 0


def test_a_run_leaves_its_curve(root: Path) -> None:
    import matplotlib.image

    picture = matplotlib.image.imread(root / "whole" / "curve.png")
    assert picture.shape[:2] == (600, 900)
    assert len(np.unique(picture[..., :3].reshape(-1, 3), axis=0)) > 20


# --- samples --------------------------------------------------------------------------------------------------------


def sample(weights: object, stop: object) -> Sample:
    np.random.seed(0)  # noqa: NPY002
    return Sample(np.zeros((4, 5, 3), np.uint8), np.zeros(100, np.float32), 8000)


def with_samples(folder: Path, sampler: object, **changes: object) -> None:
    config = configuration(tensorboard=True, sample_every=1, **changes)
    train(config, Counting(LENGTHS), VALID, VOCABULARY, CHANNELS, folder, sampler=sampler)  # type: ignore[arg-type]


def test_samples_change_nothing_of_what_is_learned(tmp_path: Path) -> None:
    with_samples(tmp_path / "with", sample)
    trained(tmp_path / "without")
    assert_same_run(tmp_path / "with", tmp_path / "without")
    events = next((tmp_path / "with" / "tensorboard").iterdir()).read_bytes()
    assert events.count(b"audio/wav") >= 1  # more where they take a small share of the time


def test_what_goes_wrong_with_a_sample_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(weights: object, stop: object) -> Sample:
        raise MelodyError("no synthesizer")

    with_samples(tmp_path, failing, max_passes=1)
    assert "no sample: no synthesizer" in capsys.readouterr().out


def test_a_model_in_training_is_seen_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way, from a base on, and the weights are those of a run without samples."""
    from melody.learning import fine_tune
    from melody.training.checkpoint import load_newest
    from tests.training.test_learning import tune

    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "tiny")
    for seed in range(12):
        melody.write(tune(seed), tmp_path / "mine" / f"{seed}.mid")
    quick = ["threads=1", "max_passes=2", "evaluation.every=2"]
    for name, every in (("with", "1"), ("without", "null")):
        fine_tune(tmp_path / "mine", "tiny", overrides=[*quick, f"name={name}", f"sample_every={every}"])
    one, other = (load_newest(Path("outputs/runs") / name, "last") for name in ("with", "without"))
    assert one is not None
    assert other is not None
    assert all(one[0][key].equal(other[0][key]) for key in one[0])
    events = next(Path("outputs/runs/with/tensorboard").iterdir()).read_bytes()
    assert events.count(b"audio/wav") == 1
    assert b"PNG" in events


# --- several processes ----------------------------------------------------------------------------------------------

TWO = """
import sys
from pathlib import Path
from melody.errors import MelodyError
from tests.support.counting import trained

if __name__ == "__main__":
    try:
        trained(Path(sys.argv[1]), devices=2)
    except MelodyError as error:
        sys.exit(str(error))
"""


@pytest.mark.slow
def test_a_lock_refuses_two_processes_in_one_line(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    (tmp_path / "script.py").write_text(TWO, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "run")]
    with locked(tmp_path / "run", "trains here"):
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert f"process {os.getpid()} trains here" in done.stderr.splitlines()[-1]
    assert "rror" not in done.stderr


def test_devices_is_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tunes.yaml").write_text("name: tunes\ncorpus: none\ndata: {batch_size: 3}\n")
    assert run(["train", str(tmp_path / "tunes.yaml"), "--devices", "2"]) == 1
    assert "data.batch_size must be a multiple of devices 2" in capsys.readouterr().err


def test_an_evaluation_that_the_checkpoint_does_not_know_leaves_no_row(tmp_path: Path) -> None:
    """Killed between the row and the checkpoint: the evaluation is done again, and its row stands once."""
    from melody.training.log import RunLog
    from melody.training.state import Progress

    log = RunLog(tmp_path, Progress(), tensorboard=False)
    row = dict.fromkeys(("step", "pass", "nats_per_note", "nats_per_token", "best", "seconds"), 1) | {"step": 6}
    log.evaluation(row, "")
    log.close()
    RunLog(tmp_path, Progress(step=6), tensorboard=False).close()
    assert len((tmp_path / "evaluations.csv").read_text().splitlines()) == 1
    log = RunLog(tmp_path, Progress(step=6), tensorboard=False)
    log.evaluation(row, "")
    log.close()
    RunLog(tmp_path, Progress(step=6, evaluated_step=6), tensorboard=False).close()
    assert len((tmp_path / "evaluations.csv").read_text().splitlines()) == 2

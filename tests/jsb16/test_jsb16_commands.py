"""The published benchmark: its file, its corpus, and the commands that train and measure on it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.made_up_voices import CONFIG, grid, model_of, train_briefly

from melody.bundle import SHIPPED
from melody.cli import run
from melody.corpus import TokenStore, prepare
from melody.engine.torch import TorchEngine
from melody.errors import MelodyError, UnreadableFile, UsageError
from melody.jsb16 import evaluation as jsb16
from melody.jsb16.corpus import FILE, read_jsb16
from melody.jsb16.tokenizer import ORDERS, READ, VoicesTokenizer
from melody.learning import tokenizer_of, train_from_config
from melody.learning.trained import open_trained

VOICES = VoicesTokenizer()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_briefly(tmp_path_factory.mktemp("jsb16"))


# ---- the file and the corpus ----------------------------------------------------------------------------------------


def test_another_file_is_refused_and_not_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(tmp_path / "other.npz", test=np.array([Trap()], object))
    with pytest.raises(UnreadableFile, match=r"not the benchmark's file; get it from"):
        read_jsb16(tmp_path / "other.npz")
    with pytest.raises(UnreadableFile, match=r"other\.npz: is not the benchmark's file"):
        prepare("jsb16", tmp_path / "store", local=tmp_path / "other.npz")
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "store" / "store.json").exists()


def test_prepare_makes_a_store_of_voices(data_folder: Path, tmp_path: Path):
    report = prepare("jsb16", tmp_path / "store", local=data_folder / FILE, workers=1)
    assert report.pieces == {"train": 229, "valid": 76, "test": 77}
    assert (report.differences, report.dropped, report.lossless) == ([], [], 1.0)
    store = TokenStore.open(tmp_path / "store")
    assert isinstance(tokenizer_of(store), VoicesTokenizer)
    grids = read_jsb16(data_folder / FILE)
    train = store.split("train")
    every = np.concatenate(grids["train"])
    ranges = [(column[column > 0].min(), column.max()) for column in every.T]
    for index, one in enumerate(grids["train"]):
        ids, context = train.piece(index)
        assert np.array_equal(ids, VOICES.spell(one))
        assert np.array_equal(context, VOICES.context(VOICES.spell(one))[:, : len(READ)])
        least, greatest = train.shifts[index].tolist()
        for voice, (low, high) in enumerate(ranges):
            pitches = one[one[:, voice] > 0, voice]
            assert low <= pitches.min() + least <= pitches.max() + greatest <= high
    assert (train.shifts[:, 0] < train.shifts[:, 1]).mean() > 0.9


# ---- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark with two made-up pieces in place of its file."""
    pieces = {"train": [], "valid": [grid(20, 3)], "test": [grid(21, 4)]}
    monkeypatch.setattr(jsb16, "read_jsb16", lambda path: pieces)
    monkeypatch.setattr(jsb16, "LEAKS", {"valid": (), "test": ()})


def test_training_tells_the_unit_of_the_benchmark(trained: Path, capsys: pytest.CaptureFixture[str]):
    info = json.loads((trained.parent / "store" / "store.json").read_text())
    overrides = [f"corpus={trained.parent / 'store'}", "model.hidden_size=16", "data.batch_size=2", "data.window=32"]
    overrides += ["max_passes=2", "evaluation.every=1", "tensorboard=false", "threads=1", "optimizer.warmup_steps=0"]
    assert train_from_config(CONFIG, overrides, trained) == 0  # which has nothing left to do
    said = capsys.readouterr().out.strip().splitlines()[-1]
    best = min(float(line.split(",")[2]) for line in (trained / "evaluations.csv").read_text().splitlines()[1:])
    assert f"{best * info['splits']['valid']['notes'] / (3 * 64):.4f} nats per voice-step" in said


def test_the_command_gives_the_figures_of_a_run(
    trained: Path, small_benchmark: None, capsys: pytest.CaptureFixture[str]
):
    command = ["evaluate", str(trained), "--benchmark", "jsb16", "--data", "any.npz"]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["tokens"], found["unit"]) == ("voices", "nats per voice-step")
    assert [one["orders"] for one in found["splits"]] == [1] * 4 + [len(ORDERS)] * 4
    valid, test, warm, other = found["splits"][:4]
    assert (valid["temperature"], test["temperature"]) == (1.0, 1.0)
    assert warm["temperature"] == other["temperature"] >= 1.0
    assert warm["canonical"] <= valid["canonical"]
    assert (valid["split"], valid["voice_steps"], test["voice_steps"]) == ("valid", 48, 64)
    assert 0 < valid["canonical"] < valid["canonical_unmasked"]
    assert {one["model"] for one in found["published"]} >= {"Music Transformer", "Coconet, chronological"}
    assert run(command) == 0
    said = capsys.readouterr().out
    assert f"{test['canonical']:.4f}" in said
    assert "0.3350" in said


def test_the_command_takes_a_bundle(small_benchmark: None, capsys: pytest.CaptureFixture[str]):
    assert run(["evaluate", str(SHIPPED / "chorale"), "--benchmark", "jsb16", "--data", "any.npz"]) == 0
    assert "this model has learned scores" in capsys.readouterr().out


def test_several_runs_are_an_ensemble_and_called_one(
    trained: Path, small_benchmark: None, capsys: pytest.CaptureFixture[str]
):
    command = ["evaluate", str(trained), str(trained), "--benchmark", "jsb16", "--data", "any.npz", "--json"]
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["model"].startswith("ensemble of 2 (")


def test_a_mistake_is_one_line(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    other = tmp_path / "other.npz"
    other.write_bytes(b"PK")
    mistakes = {
        "needs its file: give it as --data; get it from https": (str(trained), "--benchmark", "jsb16"),
        "other.npz: is not the benchmark's file": (str(trained), "--benchmark", "jsb16", "--data", str(other)),
        "cannot read": (str(trained), "--benchmark", "jsb16", "--data", str(tmp_path / "nowhere")),
        "benchmark 'jsb17': there is jsb16": (str(trained), "--benchmark", "jsb17", "--data", str(other)),
        "only models of the same tokens": (str(trained), "chorale", "--benchmark", "jsb16", "--data", str(other)),
        "no model 'nobody'": ("nobody", "--benchmark", "jsb16", "--data", str(other)),
        "pass --benchmark jsb16 too": ("chorale", "folk"),
    }
    for message, arguments in mistakes.items():
        assert run(["evaluate", *arguments]) in (1, 2)
        said = capsys.readouterr().err
        assert message in said
        assert len(said.strip().splitlines()) == 1


def test_a_run_of_other_tokens_is_refused(trained: Path, tmp_path: Path):
    from melody.training.checkpoint import load_best, save_checkpoint

    weights, info = load_best(trained)
    save_checkpoint(tmp_path, "best", weights, info | {"run": info["run"] | {"channel_sizes": []}})
    with pytest.raises(MelodyError, match="has learned other tokens than melody's events or voices"):
        open_trained([str(tmp_path)])


def test_weights_that_do_not_fit_are_refused(trained: Path, tmp_path: Path):
    from melody.training.checkpoint import load_best, save_checkpoint

    weights, info = load_best(trained)
    save_checkpoint(tmp_path, "best", {"x": next(iter(weights.values()))}, info)
    with pytest.raises(UnreadableFile, match="its weights do not fit its configuration"):
        open_trained([str(tmp_path)])


def test_a_benchmark_without_its_file_is_a_usage_error():
    with pytest.raises(UsageError, match=r"give it as `data`"):
        jsb16.benchmark_jsb16(TorchEngine(model_of(VOICES)), VOICES, None)

"""Yours in a minute: an adapter is learned from a few tunes, is small, and is never worse on what was held out."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from support.tiny_bundle import write_bundle
from support.tunes import tune

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.learning import adapt as adapting
from melody.learning.adapt import adapt


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model, a folder of nine tunes, and a place for what comes out."""
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "tiny")
    for seed in range(9):
        melody.write(tune(seed), tmp_path / "mine" / f"{seed}.mid")
    return tmp_path


def test_it_learns_from_a_few_tunes(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "PATIENCE", 2)
    monkeypatch.setattr(adapting, "STEPS_BETWEEN_EVALUATIONS", 4)
    before = open_bundle("tiny").read("step.onnx")
    made = adapt(workshop / "mine", "tiny", minutes=0.05)
    assert made.model == "tiny+mine"
    assert made.file == Path("outputs/adapters/mine.safetensors")
    assert made.file.stat().st_size < 100_000
    assert made.valid_nats[1] < made.valid_nats[0]
    assert sum(made.pieces.values()) == 9
    assert melody.load("tiny+mine").compose(bars=2, seed=1)[0].settings["model"] == "tiny+mine"
    assert open_bundle("tiny").read("step.onnx") == before


def test_the_command_line_says_what_came_of_it(
    workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adapting, "PATIENCE", 1)
    monkeypatch.setattr(adapting, "STEPS_BETWEEN_EVALUATIONS", 2)
    words = ["train", "mine", "--from", "tiny", "--adapt", "state", "--minutes", "0.02"]
    assert run([*words, "name=ours"]) == 0
    assert "melody compose --model tiny+ours" in capsys.readouterr().out
    assert run([*words, "name=ours"]) == 1
    assert "exists" in capsys.readouterr().err
    assert run(["train", "mine", "--adapt", "state"]) == 2
    assert run([*words, "model.layers=2"]) == 2
    assert run(["compose", "--model", "tiny+theirs"]) == 1
    assert "theirs.safetensors" in capsys.readouterr().err


def test_few_tunes_are_too_few(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(4, 9):
        (workshop / "mine" / f"{seed}.mid").unlink()
    assert run(["train", "mine", "--from", "tiny", "--adapt", "state"]) == 1
    assert "4 pieces to learn from; 5 or more are wanted" in capsys.readouterr().err

"""Learning from someone's own folder: a configuration that fits it, and what is refused before any work is done."""

import json
import sys
from pathlib import Path

import pytest
from symusic import Note, Tempo, TimeSignature, Track

pytest.importorskip("torch")

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.config import load_config
from melody.music.score import Score

QUICK = ["max_passes=1", "model.hidden_size=8", "model.layers=1", "model.intervals=null", "threads=1"]
QUICK += ["tensorboard=false", "evaluation.every=1"]


def band(seed: int) -> Score:
    """Four bars of six tracks: a flute, two violins, a bass, a piano and drums."""
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=90)]
    programs = [(73, 76), (40, 69), (40, 64), (32, 40), (0, 60)]
    for program, base in programs:
        notes = [Note(480 * beat, 480, base + (seed * 7 + beat * beat * (seed + 3)) % 8, 80) for beat in range(16)]
        score.tracks.append(Track("", program, False, notes))
    score.tracks.append(Track("", 0, True, [Note(480 * beat, 240, 36 + 2 * (beat % 2), 90) for beat in range(16)]))
    return score


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    for seed in range(16):
        melody.write(band(seed), folder / "$my: music" / f"{seed}.mid")
    return folder


def prepared(folder: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert run(["prepare", str(folder / "$my: music"), "--out", str(store), "--workers", "1", "--json"]) == 0
    report: dict[str, str] = json.loads(capsys.readouterr().out)
    return report


def test_prepare_leaves_a_configuration_that_fits_and_trains(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = prepared(folder, tmp_path / "store", capsys)["configuration"]
    assert Path(path) == tmp_path / "store.yaml"
    config = load_config(path)
    assert sorted(config.track_names) == sorted(
        ["Flute", "Violin 1", "Violin 2", "Acoustic Bass", "Acoustic Grand Piano", "Drums"]
    )
    assert (config.tempo_qpm, config.licence, config.data.voices) == (90, "", 6)
    assert run(["train", path, *QUICK]) == 0
    assert run(["export", f"outputs/runs/{config.name}", "--samples", "0", "licence=mine"]) == 0
    card = (tmp_path / "outputs" / "bundles" / config.name / "README.md").read_text()
    assert "licence: mine." in card
    assert "Drums: learned from " in card
    assert len(open_bundle(tmp_path / "outputs" / "bundles" / config.name).tracks) == 6


def test_a_configuration_that_is_there_is_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store.yaml").write_text("name: mine\n")
    prepared(folder, tmp_path / "store", capsys)
    assert (tmp_path / "store.yaml").read_text() == "name: mine\n"


@pytest.mark.parametrize("further", [True, False])
def test_without_torch_training_says_so_before_any_work(
    further: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "melody.training", None)
    (tmp_path / "mine.yaml").write_text("name: mine\ncorpus: nowhere\n")
    arguments = [str(folder / "$my: music"), "--from", "chorale"] if further else ["mine.yaml"]
    assert run(["train", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install 'melody[train]'" in error
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_export_says_that_a_bundle_is_there(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepared(folder, tmp_path / "store", capsys)["configuration"]
    assert run(["train", path, *QUICK, "--run", str(tmp_path / "run")]) == 0
    export = ["export", str(tmp_path / "run"), "--samples", "0", "--out", str(tmp_path / "bundle")]
    assert run(export) == 0
    capsys.readouterr()
    assert run(export) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{tmp_path / 'bundle'}: a bundle is there" in error
    assert "--force" in error
    assert run([*export, "--force"]) == 0

"""A model without a step graph, the Transformer: it trains, exports and composes like any other, and says so."""

import sys
from pathlib import Path

import pytest
from support.tunes import tune

pytest.importorskip("torch")

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.engine import open_engine
from melody.engine.graphs import STEP_GRAPHS
from melody.errors import MelodyError
from melody.models import MODELS
from melody.music.score import bars

CONFIG = """
name: decoder
corpus: {store}
track_names: [High, Low]
model: {{name: transformer, hidden_size: 16, layers: 2, heads: 2, memory: 12, intervals: 12}}
data: {{batch_size: 2, window: 32}}
evaluation: {{batch_size: 2}}
max_passes: 1
sample_every: 1
threads: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run and, where `melody models` looks for it, a bundle of it."""
    folder = tmp_path_factory.mktemp("decoder")
    for seed in range(24):
        melody.write(tune(seed), folder / "music" / f"{seed}.mid")
    assert run(["prepare", str(folder / "music"), "--out", str(folder / "store"), "--workers", "1"]) == 0
    (folder / "decoder.yaml").write_text(CONFIG.format(store=folder / "store"))
    assert run(["train", str(folder / "decoder.yaml"), "--run", str(folder / "run")]) == 0
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    out = folder / "outputs" / "bundles" / "decoder"
    assert run(["export", str(folder / "run"), "--out", str(out), "--samples", "1"]) == 0
    return out


def test_every_step_graph_is_of_a_model_that_there_is():
    assert STEP_GRAPHS.keys() < MODELS.keys()


def test_its_sample_reaches_tensorboard(folder: Path):
    (events,) = (folder / "run" / "tensorboard").iterdir()
    assert b"audio/wav" in events.read_bytes()


def test_export_says_in_one_line_that_there_is_no_step_graph(folder: Path, tmp_path: Path, capsys):
    assert run(["export", str(folder / "run"), "--out", str(tmp_path / "decoder"), "--samples", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("has no step graph; it composes by the torch engine" in line for line in lines) == 1
    assert not (tmp_path / "decoder" / "step.onnx").exists()


def test_it_composes_by_the_torch_engine_and_the_log_says_so(bundle: Path, caplog: pytest.LogCaptureFixture):
    takes = [melody.load(bundle).compose(tune(3), bars=2, seed=7)[0] for _ in range(2)]
    assert caplog.messages == ["decoder has no step graph; it composes by the torch engine, which is slower"] * 2
    assert [track.name for track in takes[0].score.tracks] == ["High", "Low"]
    assert len(bars(takes[0].score)) - 1 == 10
    assert takes[0].score.dumps_midi() == takes[1].score.dumps_midi()


def test_melody_models_says_so(bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(bundle.parents[2])
    assert run(["models"]) == 0
    assert "decoder: has no step graph; it composes by the torch engine" in capsys.readouterr().out


def test_without_torch_one_line_names_the_remedy(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "melody.engine.torch", None)
    with pytest.raises(MelodyError, match=r"decoder: the torch engine needs .*: pip install 'melody\[train\]'"):
        open_engine(open_bundle(bundle))

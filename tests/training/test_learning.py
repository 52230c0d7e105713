"""A folder of someone's own music becomes a model that composes: prepare, train, export, compose, evaluate."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.tunes import tune

pytest.importorskip("torch")

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.engine import open_engine
from melody.engine.graphs.parts import operators
from melody.errors import MelodyError, UnreadableFile, UsageError
from melody.music.score import bars, notes_of, set_notes

CONFIG = """
name: tunes
corpus: {store}
description: Two voices
licence: own
tempo_qpm: 100
track_names: [High, Low]
model: {{hidden_size: 16, layers: 2, dropout: 0.0, attention: {{heads: 2, memory: 8}}}}
data: {{batch_size: 2, window: 32}}
evaluation: {{batch_size: 2}}
optimizer: {{warmup_steps: 5}}
max_passes: 2
tensorboard: false
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, a finished run and a bundle of it."""
    folder = tmp_path_factory.mktemp("workshop")
    for seed in range(40):
        melody.write(tune(seed), folder / "music" / f"{seed}.mid")
    assert run(["prepare", str(folder / "music"), "--out", str(folder / "store"), "--workers", "1"]) == 0
    (folder / "tunes.yaml").write_text(CONFIG.format(store=folder / "store"))
    assert run(["train", str(folder / "tunes.yaml"), "threads=1", "--run", str(folder / "run")]) == 0
    assert run(["export", str(folder / "run"), "--out", str(folder / "bundle"), "--samples", "2"]) == 0
    return folder


def test_the_bundle_is_whole_and_says_what_it_is(workshop: Path):
    bundle = open_bundle(workshop / "bundle")
    for name in ("step.onnx", "vocabulary.json", "config.yaml"):
        assert bundle.file(name).is_file()
    assert operators(bundle.file("step.onnx").read_bytes())["MatMulNBits"] == 2 + 4 + 1
    assert [(t.name, t.lowest >= 40, t.highest <= 90) for t in bundle.tracks] == [
        ("High", True, True),
        ("Low", True, True),
    ]
    card = (workshop / "bundle" / "README.md").read_text()
    assert f"{bundle.settings['scores']['test_nats_per_note']:.4f}" in card
    assert "parallels per 1,000 notes" in card


def test_it_composes_in_the_tracks_of_its_corpus(workshop: Path):
    take = melody.load(workshop / "bundle").compose(bars=4, seed=1)[0]
    assert [track.name for track in take.score.tracks] == ["High", "Low"]
    assert len(bars(take.score)) - 1 == 4
    assert {note.pitch % 12 for track in take.score.tracks for note in track.notes}


def test_both_engines_tell_the_same_story(workshop: Path):
    bundle = open_bundle(workshop / "bundle")
    context = np.zeros((1, len(bundle.tokenizer.channels)), np.int64)
    differences, sizes = [], []
    engines = [open_engine(bundle, kind) for kind in ("onnx", "torch")]
    carries = [engine.start(1) for engine in engines]
    for token in bundle.tokenizer.encode(tune(1))[:60]:
        results = [e.step(np.array([token]), context, c) for e, c in zip(engines, carries, strict=True)]
        carries = [carry for _, carry in results]
        differences.append(np.abs(results[0][0] - results[1][0]).max())
        sizes.append(np.abs(results[1][0]).max())
    assert max(differences) < 0.03 * max(sizes)  # one has 8-bit weights, the other 16-bit ones


def test_evaluation_finds_what_the_card_says(workshop: Path, capsys):
    assert run(["evaluate", str(workshop / "bundle"), "--samples", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["likelihood"]
    scores = open_bundle(workshop / "bundle").settings["scores"]
    assert found["nats_per_note"] == pytest.approx(scores["test_nats_per_note"])


def test_a_damaged_bundle_is_refused(workshop: Path, tmp_path: Path):
    for path in (workshop / "bundle").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = bytearray((tmp_path / "step.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "step.onnx").write_bytes(data)
    with pytest.raises(UnreadableFile, match=r"step\.onnx"):
        melody.load(tmp_path)
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(UnreadableFile, match="not JSON"):
        melody.load(tmp_path)


def test_an_export_replaces_bundles_alone(workshop: Path, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    assert run(["export", str(workshop / "run"), "--out", str(tmp_path), "--force", "--samples", "0"]) == 1
    assert run(["export", str(workshop / "run"), "--out", str(workshop / "bundle"), "--samples", "0"]) == 1
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_any_miditok_tokenization_can_be_trained(workshop: Path, capsys):
    store = workshop / "remi"
    arguments = ["prepare", str(workshop / "music"), "--out", str(store), "--workers", "1", "--miditok", "TSD"]
    assert run([*arguments, "--bpe", "1300"]) == 0
    assert "without loss" in capsys.readouterr().out
    changes = [f"corpus={store}", "max_passes=1", "threads=1", "model.attention=null"]
    assert run(["train", str(workshop / "tunes.yaml"), *changes, "--run", str(workshop / "remi-run")]) == 0
    assert "nats per note" in capsys.readouterr().out
    assert run(["export", str(workshop / "remi-run"), "--out", str(workshop / "remi-bundle")]) == 1


def test_a_store_of_another_vocabulary_is_refused(workshop: Path, tmp_path: Path):
    from melody.corpus import TokenStore
    from melody.learning import tokenizer_of

    store = TokenStore.open(workshop / "store")
    store.info["tokenizer"]["vocabulary_hash"] = "0" * 64
    with pytest.raises(MelodyError, match="melody prepare"):
        tokenizer_of(store)


@pytest.mark.slow
def test_a_style_that_was_learned_can_be_asked_for(tmp_path: Path):
    """Two folders of music, one high and one low: what is asked for is what comes."""
    for seed in range(60):
        style, octave = ("high", 12) if seed % 2 else ("low", -12)
        score = tune(seed)
        for track in score.tracks:
            notes = notes_of(track)
            set_notes(track, notes._replace(pitch=notes.pitch + octave))
        melody.write(score, tmp_path / "music" / style / f"{seed}.mid")
    assert (
        run(["prepare", str(tmp_path / "music"), "--styles", "--out", str(tmp_path / "store"), "--workers", "1"]) == 0
    )
    (tmp_path / "tunes.yaml").write_text(CONFIG.format(store=tmp_path / "store"))
    steps = [
        "threads=1",
        "max_passes=12",
        "data.batch_size=8",
        "data.window=128",
        "data.transpose=false",
        "ema_decay=0",
    ]
    steps += ["optimizer.learning_rate=0.02", "model.attention=null", "model.hidden_size=32"]
    assert run(["train", str(tmp_path / "tunes.yaml"), *steps, "--run", str(tmp_path / "run")]) == 0
    export = ["export", str(tmp_path / "run"), "--out", str(tmp_path / "bundle"), "--samples", "1"]
    assert run([*export, "default_style=middle"]) == 1
    assert run([*export, "default_style=low"]) == 0
    composer = melody.load(tmp_path / "bundle")
    height = {
        style: np.mean(
            [notes_of(t.score.tracks[0]).pitch.mean() for t in composer.compose(seed=1, takes=4, style=style)]
        )
        for style in ("high", "low", None)
    }
    assert height["high"] > height["low"] + 12
    assert height[None] == height["low"]
    with pytest.raises(UsageError, match="tunes knows high, low"):
        composer.compose(style="middle")

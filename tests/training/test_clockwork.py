"""The clockwork LSTM from a configuration to a take: it trains, exports with a step graph, and composes by it."""

import numpy as np
import pytest
from support.tunes import tune

pytest.importorskip("torch")

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.engine import open_engine
from melody.learning.base import base_of
from melody.music.score import bars

CONFIG = """
name: clockwork
corpus: {store}
track_names: [High, Low]
model: {{name: clockwork_lstm, hidden_size: 32, layers: 2, beat: 8, bar: 4, phrase: 4, intervals: 12}}
data: {{batch_size: 2, window: 32, channels: {channels}}}
evaluation: {{batch_size: 2}}
max_passes: 1
threads: 1
tensorboard: false
"""


def test_from_a_configuration_to_a_take(tmp_path, capsys):
    for seed in range(24):
        melody.write(tune(seed), tmp_path / "music" / f"{seed}.mid")
    store, config, runs = (tmp_path / name for name in ("store", "clockwork.yaml", "run"))
    assert run(["prepare", str(tmp_path / "music"), "--out", str(store), "--workers", "1"]) == 0
    config.write_text(CONFIG.format(store=store, channels="[read, foreseen, repetition]"))
    assert run(["train", str(config), "--run", str(runs)]) == 1
    assert "add phrase to data.channels" in capsys.readouterr().err
    config.write_text(CONFIG.format(store=store, channels="[read, foreseen, repetition, phrase]"))
    assert run(["train", str(config), "--run", str(runs)]) == 0
    out = tmp_path / "bundle"
    assert run(["export", str(runs), "--out", str(out), "--samples", "1"]) == 0
    bundle = open_bundle(out)
    assert bundle.weights_file == "step.onnx"
    takes = [melody.load(out).compose(tune(3), bars=2, seed=7)[0].to_midi() for _ in range(2)]
    assert takes[0] == takes[1]
    assert len(bars(melody.load(out).compose(tune(3), bars=2, seed=7)[0].score)) - 1 == 10
    base = base_of(str(out), bundle.tokenizer)
    assert sum(weight.size for weight in base.weights.values()) == bundle.settings["parameters"]
    ids = bundle.tokenizer.encode(tune(1))
    exact, close = (walk(open_engine(bundle, kind), ids, bundle.tokenizer.context(ids)) for kind in ("torch", "onnx"))
    assert np.abs(exact - close).max() < 0.05 * np.abs(exact).max()


def walk(engine, ids, context):
    """Logits (T, V) of one row, token by token."""
    carry, found = engine.start(1), []
    for token, told in zip(ids, context, strict=True):
        logits, carry = engine.step(np.array([token]), told[None].astype(np.int64), carry)
        found.append(logits[0])
    return np.stack(found)

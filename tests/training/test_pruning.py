"""Pruning: what is left computes as the whole model would without the units that went, and trains on."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.tiny_bundle import LAYERS, WIDTH, tiny_weights, write_bundle
from support.tunes import tune

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.engine.graphs.residual_lstm import build_step_graph, step_weights
from melody.engine.onnx import OnnxEngine
from melody.errors import UsageError
from melody.learning import fine_tune
from melody.learning.prune import cut, magnitudes, width_for
from melody.models import build
from melody.tokens import EventTokenizer

KEPT = np.array([0, 2, 3, 7, 8, 11, 14, 15])
SIZES = [channel.size for channel in EventTokenizer().channels]


def model_of(weights: dict[str, np.ndarray], width: int) -> torch.nn.Module:
    model = build("residual_lstm", len(EventTokenizer.vocabulary), SIZES, hidden_size=width, layers=LAYERS).eval()
    model.load_state_dict({name: torch.from_numpy(np.asarray(weight, np.float32)) for name, weight in weights.items()})
    return model


def without(weights: dict[str, np.ndarray], gone: np.ndarray) -> dict[str, np.ndarray]:
    """The weights with zeros for all that belongs to these units."""
    result = {name: np.array(weight, np.float32) for name, weight in weights.items()}
    gates = np.concatenate([gate * WIDTH + gone for gate in range(4)])
    for name, weight in result.items():
        if weight.ndim == 2:
            weight[:, gone] = 0
        if name.startswith("lstms."):
            weight[gates] = 0
    return result


def test_what_is_left_computes_as_the_whole_without_the_units_that_went() -> None:
    weights = tiny_weights()
    gone = np.setdiff1d(np.arange(WIDTH), KEPT)
    small, whole = model_of(cut(weights, KEPT), len(KEPT)), model_of(without(weights, gone), WIDTH)
    tokens = torch.randint(3, 900, (2, 30))
    context = torch.stack([torch.randint(0, size, (2, 30)) for size in SIZES], dim=2)
    found, expected = small(tokens, small.start(2), context)[0], whole(tokens, whole.start(2), context)[0]
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, model_of(weights, WIDTH)(tokens, whole.start(2), context)[0], atol=0.1)


def test_the_step_graph_of_what_is_left_is_that_model() -> None:
    weights = cut(tiny_weights(), KEPT)
    model, engine = model_of(weights, len(KEPT)), OnnxEngine(build_step_graph(step_weights(weights), eight_bit=False))
    carry, expected = engine.start(1), model.start(1)
    context = np.zeros((1, len(SIZES)), np.int64)
    for token in (1, 3, 40, 700):
        logits, carry = engine.step(np.array([token]), context, carry)
        wanted, expected = model(torch.tensor([[token]]), expected, torch.from_numpy(context)[:, None])
        assert np.allclose(logits, wanted[:, 0].detach().numpy(), atol=2e-3)  # tables have 16 bits


def test_units_of_small_weights_go_first() -> None:
    weights = tiny_weights()
    gone = np.setdiff1d(np.arange(WIDTH), KEPT)
    small = {}
    for name, whole in without(weights, gone).items():
        small[name] = whole + 0.1 * (np.asarray(weights[name], np.float32) - whole)
    assert set(np.argsort(-magnitudes(small))[: len(KEPT)].tolist()) == set(KEPT.tolist())


def test_shares_and_models_that_make_no_sense(tmp_path: Path) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "tiny"))
    assert width_for(bundle, 0.5) == 8
    assert width_for(bundle, 0.99) == 8
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(UsageError, match="must lie in"):
            width_for(bundle, share)
    others = {"model": {"name": "clockwork_lstm", "hidden_size": 16, "layers": 1}}
    with pytest.raises(UsageError, match="units can be taken from a residual LSTM without attention"):
        width_for(open_bundle(write_bundle(tmp_path / "other", changes=others)), 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["movement", "magnitude", "random", "lottery", "xavier"])
def test_a_model_is_pruned_trained_and_composes(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "tiny")
    for seed in range(16):
        melody.write(tune(seed), tmp_path / "mine" / f"{seed}.mid")
    quick = ["precision=32-true", "threads=1", "tensorboard=false", "max_passes=2", "evaluation.every=1"]
    assert fine_tune(tmp_path / "mine", "tiny", overrides=[*quick, "optimizer.learning_rate=0.02"]).bundle
    capsys.readouterr()
    assert run(["prune", "tiny-mine", "--share", "0.5", "--by", by, "--name", "small", "tensorboard=false"]) == 0
    assert "8 of 16 units are left" in capsys.readouterr().out
    small = open_bundle("small")
    assert small.settings["model"]["hidden_size"] == 8
    assert small.settings["base"]["name"] == "tiny-mine"
    assert melody.load("small").compose(bars=2, seed=1)[0].notes
    assert run(["prune", "tiny-mine", "--name", "small"]) == 1
    assert "a bundle is there" in capsys.readouterr().err
    assert run(["prune", "tiny-mine", "--by", "luck"]) == 2

"""Pruning: what is left computes as the whole model would without the units that went, and trains on."""

import json
import shutil
import sys
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
from melody.config import load_config
from melody.engine.graphs.residual_lstm import build_step_graph, step_weights
from melody.engine.onnx import OnnxEngine
from melody.errors import UsageError
from melody.learning import fine_tune
from melody.learning.drawn import Joined, drawn, with_drawn
from melody.learning.prune import cut, magnitudes, scores_of, width_for
from melody.learning.sources import sources_of
from melody.learning.train import told_as_base
from melody.models import build
from melody.music.score import note_count
from melody.tokens import EventTokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import pruning

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


def test_blocks_of_the_least_norm_are_zeros() -> None:
    weights = tiny_weights()
    masks = pruning.block_masks(weights, 0.75)
    assert set(masks) == {"lstms.0.weight_ih_l0", "lstms.0.weight_hh_l0"}
    kept = {name: mask.numpy().reshape(-1, pruning.ROWS, WIDTH) for name, mask in masks.items()}
    assert all((mask.all(axis=1) == mask.any(axis=1)).all() for mask in kept.values())
    assert np.mean([mask.mean() for mask in kept.values()]) == pytest.approx(0.25, abs=0.01)
    blocks = {name: weights[name].astype(np.float64).reshape(-1, pruning.ROWS, WIDTH) for name in masks}
    norms = [(np.square(blocks[name]).sum(axis=1), kept[name].any(axis=1)) for name in masks]
    assert max(norm[~stay].max() for norm, stay in norms) <= min(norm[stay].min() for norm, stay in norms)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model `tiny-mine` and its corpus."""
    folder = tmp_path_factory.mktemp("pruning")
    write_bundle(folder / "tiny")
    for seed in range(16):
        melody.write(tune(seed), folder / "mine" / f"{seed}.mid")
    quick = ["precision=32-true", "threads=1", "tensorboard=false", "max_passes=2", "evaluation.every=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert fine_tune(Path("mine"), "tiny", overrides=[*quick, "optimizer.learning_rate=0.02"]).bundle
    return folder


@pytest.fixture
def mine(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory that is a copy of the workshop."""
    shutil.copytree(workshop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["movement", "magnitude", "random", "lottery", "xavier"])
def test_a_model_is_pruned_trained_and_composes(by: str, mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", "tiny-mine", "--share", "0.5", "--by", by, "--name", "small", "tensorboard=false"]) == 0
    assert "8 of 16 units are left" in capsys.readouterr().out
    small = open_bundle("small")
    assert small.settings["model"]["hidden_size"] == 8
    assert small.settings["base"]["name"] == "tiny-mine"
    assert melody.load("small").compose(bars=2, seed=1)[0].notes
    assert run(["prune", "tiny-mine", "--name", "small"]) == 1
    assert "a bundle is there" in capsys.readouterr().err
    assert run(["prune", "tiny-mine", "--by", "luck"]) == 2


@pytest.mark.slow
def test_a_student_learns_from_what_its_teacher_composes(mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    teacher = ["objective.name=distilled", "objective.teachers=[tiny-mine]", "tensorboard=false"]
    assert run(["prune", "tiny-mine", "--name", "taught", *teacher, "objective.drawn=6"]) == 0
    assert open_bundle("taught").settings["model"]["hidden_size"] == 8
    config = load_config("outputs/bundles/taught/config.yaml")
    sources = sources_of(told_as_base(config))
    found = with_drawn(sources, config)
    assert isinstance(found, Joined)
    corpus, composed = found.parts
    assert len(found.lengths) == len(found.notes) == len(corpus) + 6
    again = drawn([open_bundle("tiny-mine")], sources, 6, config.data.seed)
    for number in range(6):
        ids, context = found.fetch(len(corpus) + number, np.random.default_rng(number))
        assert ids.tolist() == again.piece(number)[0].tolist() == composed.split.piece(number)[0].tolist()
        assert context.shape == (len(ids), len(sources.tokenizer.channels))
        assert context.any()
        assert found.notes[len(corpus) + number] == note_count(EventTokenizer().decode(ids))
    assert found.fetch(0, np.random.default_rng(0))[0].tolist() == corpus.fetch(0, np.random.default_rng(0))[0].tolist()
    capsys.readouterr()
    assert (
        run(
            [
                "prune",
                "tiny-mine",
                "--name",
                "none",
                *teacher,
                "objective.drawn=6",
                "objective.teachers=[outputs/runs/taught]",
            ]
        )
        == 1
    )
    assert "objective.drawn: outputs/runs/taught is no model that composes" in capsys.readouterr().err


@pytest.mark.slow
def test_the_curve_of_pruning_has_a_row_a_variant(mine: None, tmp_path: Path) -> None:
    curve = pruning.Curve("tiny-mine", steps=2, drawn=2, pieces=4, evaluated=None)
    ways, into = ["movement", "xavier", "blocks", "drawn"], tmp_path / "curve.jsonl"
    pruning.measure(curve, ways, [0.5], into)
    rows = [json.loads(line) for line in into.read_text().splitlines()]
    assert (
        scores_of(curve.bundle, curve.config, curve.weights, "movement").tolist() == curve.scores["movement"].tolist()
    )
    assert [row["way"] for row in rows] == ["whole", *ways]
    assert [row["units"] for row in rows] == [WIDTH, 8, 8, WIDTH, 8]
    assert rows[1]["nats right after"] == rows[4]["nats right after"] != rows[2]["nats right after"]
    assert all(row["nats"] < row["nats right after"] for row in rows[1:])
    pruning.measure(curve, ways, [0.5], into)
    assert len(into.read_text().splitlines()) == len(rows)

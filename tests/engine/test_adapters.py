"""Adapters: a model with one is the model with another head and beginning, in both engines; broken ones are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from support.tiny_bundle import LAYERS, WIDTH, write_bundle

from melody.bundle import open_bundle
from melody.bundle.adapter import FORMAT, shapes_of
from melody.engine import open_engine
from melody.engine.adapted import step_graph_of
from melody.errors import MelodyError, UnreadableFile
from melody.generation import Composer
from melody.generation.replay import composer_of
from melody.native.library import core
from melody.tokens import EventTokenizer

SIZE = len(EventTokenizer.vocabulary)
RANK = 3


def told(model: Path, **changes: Any) -> dict[str, Any]:
    graph = open_bundle(model).settings["files"]["step.onnx"]
    return {"format": FORMAT, "base": "tiny", "step_graph": graph, "description": "3 tunes"} | changes


def arrays(rank: int = RANK) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(5)
    shapes = shapes_of({"hidden_size": WIDTH, "layers": LAYERS}, SIZE, rank)
    return {name: generator.normal(0, 0.3, shape).astype(np.float16) for name, shape in shapes.items()}


def write(path: Path, weights: dict[str, np.ndarray], said: dict[str, Any] | None) -> Path:
    path.write_bytes(save(weights, metadata=None if said is None else {"melody": json.dumps(said)}))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def adapted(model: Path, tmp_path: Path) -> str:
    """The name of the model with an adapter."""
    return f"{model}+{write(tmp_path / 'mine.safetensors', arrays(), told(model))}"


@pytest.mark.parametrize("kind", ["onnx", "native"])
def test_the_head_and_the_beginning_are_those_of_the_adapter(kind: str, model: Path, adapted: str) -> None:
    if kind == "native" and core() is None:
        pytest.skip("the native core is not installed")
    torch = pytest.importorskip("torch")
    from melody.engine.torch import model_of
    from melody.models.adapted import AdaptedLSTM

    bundle = open_bundle(adapted)
    assert bundle.adapter is not None
    engine, context = open_engine(bundle, kind), np.zeros((2, len(bundle.channels)), np.int64)
    reference = AdaptedLSTM(model_of(open_bundle(model)), RANK)
    for name, weight in reference.weights().items():
        weight.data = torch.from_numpy(bundle.adapter.weights[name])
    carry, expected = engine.start(2), reference.start(2)
    joined = np.concatenate([part.detach().numpy() for part in expected.values()], axis=1)
    assert np.array_equal(np.concatenate(carry, axis=1), joined)
    for token in (1, 3, 40, 700):
        logits, carry = engine.step(np.full(2, token), context, carry)
        tokens = torch.full((2, 1), token)
        wanted, expected = reference(tokens, expected, torch.from_numpy(context)[:, None])
        assert np.abs(logits - wanted[:, 0].detach().numpy()).max() < 0.1  # of 8 bits; the change is tens of times that


def test_nothing_but_the_head_changes(model: Path, adapted: str) -> None:
    before, after = (np.frombuffer(step_graph_of(open_bundle(name)), np.uint8) for name in (model, adapted))
    assert len(before) == len(after)
    assert 0 < (before != after).sum() <= SIZE * (WIDTH + 48 + 2 * 4)


def test_a_take_says_which_adapter_composed_it_and_comes_again(model: Path, adapted: str, tmp_path: Path) -> None:
    take = Composer(adapted).compose(bars=2, seed=3)[0]
    plain = Composer(model).compose(bars=2, seed=3)[0]
    assert take.settings["model"] == "tiny+mine"
    assert take.settings["step_graph"] != plain.settings["step_graph"]
    again = composer_of(tmp_path / "take.mid", take.settings, adapted).recompose(take.settings)
    assert again.to_midi() == take.to_midi()
    with pytest.raises(MelodyError, match="composed by another tiny"):
        composer_of(tmp_path / "take.mid", take.settings, str(model))


@pytest.mark.parametrize(
    ("weights", "said", "reason"),
    [
        (arrays(), {"step_graph": "0" * 64}, "was made for another tiny than this tiny"),
        (arrays(), {"format": "9"}, "has the format 9"),
        (arrays(), {"base": 7}, "does not say which model"),
        (arrays(65), {}, "its rank should be 1 to 64"),
        (arrays() | {"start": np.zeros((1, 1), np.float16)}, {}, "its start should be of shape"),
        (arrays() | {"bias": np.full(SIZE, np.nan, np.float16)}, {}, "bias"),
        ({name: array for name, array in arrays().items() if name != "up"}, {}, "its rank should be"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    weights: dict[str, np.ndarray], said: dict[str, Any], reason: str, model: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "mine.safetensors", weights, told(model, **said))
    with pytest.raises(UnreadableFile, match=reason):
        open_bundle(f"{model}+{file}")


@pytest.mark.parametrize("data", [b"", b"nothing", b"\xff" * 64])
def test_what_is_no_adapter_is_refused(data: bytes, model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(data)
    with pytest.raises(UnreadableFile, match="not a safetensors file"):
        open_bundle(f"{model}+{tmp_path / 'mine.safetensors'}")


def test_an_adapter_that_says_nothing_and_one_that_is_not_there(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine.safetensors", arrays(), None)
    with pytest.raises(UnreadableFile, match="is not JSON"):
        open_bundle(f"{model}+{tmp_path / 'mine.safetensors'}")
    with pytest.raises(MelodyError, match=r"none\.safetensors"):
        open_bundle(f"{model}+{tmp_path / 'none.safetensors'}")


def test_the_torch_engine_says_that_it_takes_none(adapted: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(MelodyError, match="engines native and onnx alone"):
        open_engine(open_bundle(adapted), "torch")

"""The weights of a bundle stand in its step graph alone: they are read back, or a graph of another model is refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")

from support.bundle_attacks import ATTACKS  # noqa: E402
from support.older_graphs import with_halves  # noqa: E402
from support.small_graphs import GRAPHS, SIZES, graph_of  # noqa: E402
from support.tiny_bundle import tiny_files, tiny_weights, write_bundle  # noqa: E402

from melody.bundle import open_bundle  # noqa: E402
from melody.bundle.bundle import SHIPPED  # noqa: E402
from melody.engine import open_engine  # noqa: E402
from melody.engine.graphs import STEP_GRAPHS  # noqa: E402
from melody.engine.native_weights import read_weights  # noqa: E402
from melody.engine.weights import weights_of  # noqa: E402
from melody.errors import MelodyError, UnreadableFile  # noqa: E402


def summed(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same weights with both biases of a layer as one: only their sum counts."""
    biases = {name for name in state if "bias_hh" in name}
    rest = {name: value for name, value in state.items() if name not in biases}
    return rest | {n.replace("_hh", "_ih"): state[n.replace("_hh", "_ih")] + state[n] for n in biases}


@pytest.mark.parametrize("variant", GRAPHS)
@pytest.mark.parametrize("eight_bit", [False, True], ids=["fp32", "8 bits"])
def test_a_graph_gives_its_weights_back(variant: str, eight_bit: bool):
    name, model, options = GRAPHS[variant]()
    back = STEP_GRAPHS[name].weights(graph_of(name, model, options, eight_bit), options, SIZES)
    wanted, found = summed({k: v.numpy() for k, v in model.state_dict().items()}), summed(back)
    assert found.keys() == wanted.keys()
    largest = max(np.abs(weight).max() for weight in wanted.values())
    for part, weight in wanted.items():
        near = 1e-6 if "bias" in part or not eight_bit else 0.51 * largest / 127  # half a step of 8 bits
        assert found[part].shape == weight.shape, part
        assert np.abs(found[part] - weight).max() <= near, part


def test_a_graph_of_an_earlier_version_gives_its_weights_back():
    name, model, options = GRAPHS["intervals"]()
    graph = graph_of(name, model, options, eight_bit=True)
    new, old = (STEP_GRAPHS[name].weights(data, options, SIZES) for data in (graph, with_halves(graph)))
    assert new.keys() == old.keys()
    assert all(np.abs(new[part] - old[part]).max() <= np.abs(new[part]).max() / 2**11 for part in new)


def test_rows_that_training_never_met_are_zeros_and_the_head_is_whole():
    name, model, options = GRAPHS["intervals"]()
    weights = {part: weight.numpy() for part, weight in model.state_dict().items()}
    seen = np.arange(sum(SIZES)) % 3 > 0
    plain, partly = (
        STEP_GRAPHS[name].weights(STEP_GRAPHS[name].build(weights, options, options, True, rows), options, SIZES)
        for rows in (None, seen)
    )
    channels = [f"channels.{number}.weight" for number in range(len(SIZES) - 1)]
    for part, own in zip(channels, np.split(seen, np.cumsum(SIZES)[:-1])[1:], strict=True):
        assert not partly[part][~own].any()
        assert np.array_equal(partly[part][own], plain[part][own])
    assert all(np.array_equal(partly[part], plain[part]) for part in plain if part not in channels)


def bare(folder: Path, **changes: object) -> Path:
    """A bundle as `melody export` leaves it: no weights but those in the step graph."""
    files = {name: data for name, data in tiny_files().items() if name != "weights.safetensors"}
    return write_bundle(folder, files, changes)


def test_an_older_bundle_with_a_file_of_weights_is_read_from_it(tmp_path: Path):
    found, whole = weights_of(open_bundle(write_bundle(tmp_path))), tiny_weights()
    assert all(np.array_equal(found[name], weight) for name, weight in whole.items())


def test_a_bundle_without_one_steps_in_torch_as_in_onnx(tmp_path: Path):
    bundle = open_bundle(bare(tmp_path))
    context = np.zeros((1, len(bundle.channels)), np.int64)
    exact, close = (
        engine.step(np.array([5]), context, engine.start(1))[0]
        for engine in (open_engine(bundle, "torch"), open_engine(bundle))
    )
    assert 0 < np.abs(exact - close).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    "changes", [{"hidden_size": 8}, {"layers": 2}, {"attention": {"heads": 2, "memory": 3}}], ids=str
)
def test_a_graph_of_another_model_is_refused(changes: dict[str, object], tmp_path: Path):
    model = {"name": "residual_lstm", "hidden_size": 16, "layers": 1, "dropout": 0.0, "attention": None}
    bundle = open_bundle(bare(tmp_path, model=model | changes))
    with pytest.raises(UnreadableFile, match=r"step\.onnx: does not fit the model that bundle\.json describes"):
        open_engine(bundle, "torch")


@pytest.mark.parametrize(
    "name", [name for name, attack in ATTACKS.items() if attack.part == "step.onnx" and name != "wrong hash"]
)
def test_an_attack_by_the_graph_does_not_reach_torch(name: str, tmp_path: Path):
    part, _, files, changes, spoil = ATTACKS[name]
    kept = {name: data for name, data in files.items() if name != "weights.safetensors"}
    folder = write_bundle(tmp_path, kept, changes)
    if spoil:
        spoil(folder, part)
    with pytest.raises(MelodyError, match=r"step\.onnx"):
        open_engine(open_bundle(folder), "torch")


def test_every_shipped_model_can_be_trained_further_and_stays_small():
    shipped = [open_bundle(path.parent) for path in SHIPPED.glob("*/bundle.json")]
    assert shipped
    for bundle in shipped:
        assert sum(weight.size for weight in weights_of(bundle).values()) == bundle.settings["parameters"]
        assert sum(path.stat().st_size for path in bundle.folder.iterdir()) <= 8_000_000, bundle.name


def test_rows_of_zeros_stand_once_in_the_table():
    name, model, options = GRAPHS["plain"]()
    weights = {part: weight.numpy() for part, weight in model.state_dict().items()}
    seen = np.arange(sum(SIZES)) % 3 > 0
    graph = STEP_GRAPHS[name].build(weights, options, options, True, seen)
    table = read_weights(graph).table
    assert len(table.values) == 1 + np.count_nonzero(seen)
    assert not table.whole[0].any()
    assert np.array_equal(table.places > 0, seen)


@pytest.mark.parametrize("place", [-1, 10**6])
def test_a_row_beyond_the_table_is_refused(place: int):
    name, model, options = GRAPHS["plain"]()
    proto = onnx.load_from_string(graph_of(name, model, options, eight_bit=True))
    rows = next(tensor for tensor in proto.graph.initializer if tensor.data_type == onnx.TensorProto.INT32)
    places = numpy_helper.to_array(rows).copy()
    places[5] = place
    rows.CopyFrom(numpy_helper.from_array(places, rows.name))
    for read in (read_weights, lambda graph: STEP_GRAPHS[name].weights(graph, options, SIZES)):
        with pytest.raises(ValueError, match="rows"):
            read(proto.SerializeToString())

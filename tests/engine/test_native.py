"""The native engine: the same bits by all kernels, alone and among others; close to ONNX Runtime; strangers refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.older_graphs import with_halves
from support.tiny_bundle import write_bundle

from melody import engine as engines
from melody.bundle import Bundle, open_bundle
from melody.engine import engine_for, open_engine
from melody.engine.graphs.residual_lstm import StepWeights, build_step_graph
from melody.engine.graphs.rounded import with_short_layers
from melody.engine.native import NativeEngine
from melody.engine.native_weights import read_weights
from melody.engine.onnx import OnnxEngine
from melody.errors import MelodyError, UsageError
from melody.generation import Composer
from melody.native import library as native
from melody.tokens import Plan
from melody.tokens.channels import layout_of

MODELS = ("chorale", "folk", "pop", "drums", "band", "lied", "quartet")
needs_core = pytest.mark.skipif(native.core() is None, reason=f"no native core: {native.opened()[1]}")


def graph_of(model: str) -> bytes:
    return open_bundle(model).read("step.onnx")


def walk(engine: NativeEngine, rows: list[int], steps: int = 30) -> np.ndarray:
    """Logits (steps, rows, V) of rows of a fixed random text."""
    generator = np.random.default_rng(0)
    sizes = np.diff(read_weights(graph_of(Path(engine.name).parent.name)).first)[1:]
    ids = generator.integers(0, engine.shapes.vocabulary, (steps, 37))[:, rows]
    contexts = generator.integers(0, sizes, (steps, 37, len(sizes)))[:, rows]
    carry, result = engine.start(len(rows)), []
    for tokens, context in zip(ids, contexts, strict=True):
        logits, carry = engine.step(tokens, context, carry)
        result.append(logits)
    return np.stack(result)


@needs_core
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("model", MODELS)
def test_all_kernels_give_the_same_bits_alone_and_among_others(model: str, bits: int) -> None:
    library = native.core()
    assert library is not None
    rows, results = [3, 0, 11, 36, 7, 8, 20], []
    for kernels in range(library.kernels_count()):
        engine = NativeEngine(graph_of(model), f"{model}/step.onnx", kernels, [bits] * 2)  # the third in 8
        results.append((engine.kernels, walk(engine, rows)))
        alone = walk(engine, [11])
        assert np.array_equal(alone[:, 0], results[-1][1][:, 2]), engine.kernels
    for name, result in results[1:]:
        assert np.array_equal(result, results[0][1]), f"{name} and {results[0][0]}"
    assert len({name for name, _ in results}) == len(results)


def chance(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return generator.normal(0, 0.3, shape).astype(np.float32)


def made_up() -> bytes:
    """A model of two layers with random weights."""
    draw = partial(chance, np.random.default_rng(5))
    layers = [(draw(4 * 96, 2 * 96), draw(4 * 96)) for _ in range(2)]
    return build_step_graph(StepWeights(draw(50, 96), [draw(7, 96), draw(300, 96)], layers, draw(50)))


def walked(engine: NativeEngine) -> np.ndarray:
    """Logits (40, 50) of a random text under the model that is made up."""
    generator, (carry,) = np.random.default_rng(2), engine.start(1)
    result = []
    for _ in range(40):
        logits, (carry,) = engine.step(generator.integers(0, 50, 1), generator.integers(0, [7, 300])[None], (carry,))
        result.append(logits[0].copy())
    return np.stack(result)


@needs_core
def test_layers_in_four_bits_are_those_rounded_and_kept_in_eight() -> None:
    graph = made_up()
    short = with_short_layers(graph, [0, 1])
    four = walked(NativeEngine(graph, layer_bits=[4, 4]))
    assert np.array_equal(four, walked(NativeEngine(short)))
    assert np.array_equal(four, walked(NativeEngine(short, layer_bits=[4, 4])))
    assert not np.array_equal(four, walked(NativeEngine(graph)))


@needs_core
def test_a_table_of_an_earlier_version_is_the_same_whole_numbers_as_ever() -> None:
    graph = with_halves(made_up())
    halves = next(
        table
        for table in map(numpy_helper.to_array, onnx.load_from_string(graph).graph.initializer)
        if table.dtype == np.float16
    )
    weights = read_weights(graph)
    assert np.array_equal(weights.table.whole, np.round(halves.astype(np.float64) * 2**20).astype(np.int32))
    carry = OnnxEngine(graph).start(1)
    step = np.array([3]), np.array([[2, 250]])
    own, _ = NativeEngine(graph).step(*step, (np.concatenate(carry, axis=1),))
    assert np.abs(own - OnnxEngine(graph).step(*step, carry)[0]).max() < 1e-4


@needs_core
def test_a_table_is_summed_exactly_by_both_engines() -> None:
    """Rows are whole multiples of 2^-20, so that 32-bit floats hold their sums."""
    table = read_weights(made_up()).table
    assert table.values.dtype == np.int8
    assert np.abs(table.values).max() == 127
    floats = table.values.astype(np.float32) * (table.scales / 2**20).astype(np.float32)
    assert np.array_equal((floats.astype(np.float64) * 2**20), table.whole)


@needs_core
@pytest.mark.parametrize("scale", [2.0**-21, 3e9, 1e30], ids=["not whole", "large", "huge"])
def test_scales_of_a_table_that_melody_does_not_write_are_refused(scale: float) -> None:
    model = onnx.load_from_string(made_up())
    scales = next(tensor for tensor in model.graph.initializer if tuple(tensor.dims) == (358, 1))
    values = numpy_helper.to_array(scales).copy()
    values[9] = scale
    scales.CopyFrom(numpy_helper.from_array(values, scales.name))
    with pytest.raises(ValueError, match=r"table of another type or scale|sum is larger"):
        read_weights(model.SerializeToString())


@needs_core
def test_any_number_of_rows_gives_what_each_gives_alone() -> None:
    engine = NativeEngine(graph_of("folk"), "folk/step.onnx")
    together = walk(engine, list(range(37)), steps=5)
    for row in (0, 15, 16, 36):
        assert np.array_equal(walk(engine, [row], steps=5)[:, 0], together[:, row])


@needs_core
@pytest.mark.parametrize("model", MODELS)
def test_a_step_is_that_of_onnx_runtime(model: str) -> None:
    """From the same carry, but for the rare value that is rounded to the next of its 255 steps."""
    bundle, generator = open_bundle(model), np.random.default_rng(1)
    data = bundle.read("step.onnx")
    onnx, own = OnnxEngine(data), NativeEngine(data)
    sizes = np.diff(read_weights(data).first)[1:]
    carry, differences = onnx.start(1), []
    for _ in range(60):
        token, context = generator.integers(0, own.shapes.vocabulary, 1), generator.integers(0, sizes)[None]
        logits, _ = own.step(token, context, (np.concatenate(carry, axis=1),))
        other, carry = onnx.step(token, context, carry)
        differences.append(np.abs(logits - other).max())
    assert np.median(differences) < 1e-4
    assert max(differences) < 0.2


@needs_core
def bundle_of(name: str, folder: Path) -> Bundle:
    return open_bundle(write_bundle(folder) if name == "tiny" else name)


@needs_core
@pytest.mark.parametrize("name", ["folk", "drums", "tiny"])  # tiny: its width is no whole blocks
def test_what_is_read_at_once_is_what_is_read_in_steps(name: str, tmp_path: Path) -> None:
    """Carry and logits to the bit, by all kernels; nats as the logits of each step have them."""
    bundle, library = bundle_of(name, tmp_path), native.core()
    assert library is not None
    ids = bundle.tokenizer.encode(Composer("folk").compose(bars=6, seed=4)[0].score)[:53]
    layout = layout_of(bundle.tokenizer.names)
    for kernels in range(library.kernels_count()):
        engine = NativeEngine(bundle.read("step.onnx"), kernels=kernels, layer_bits=bundle.layer_bits)
        readers = [engine.reader(layout, Plan(bars=9)) for _ in range(2)]
        assert readers[0] is not None
        assert readers[1] is not None
        logits, (carry,), cost = engine.read(readers[0], ids.tolist(), engine.start(1))
        own, nats = engine.start(1), 0.0
        for place, (token, context) in enumerate(zip(ids, readers[1].contexts(ids), strict=True)):
            found, own = engine.step(np.array([token]), context[None], own)
            if place + 1 < len(ids):
                nats += float(np.logaddexp.reduce(found[0].astype(np.float64)) - found[0, ids[place + 1]])
        assert np.array_equal(logits, found[0]), engine.kernels
        assert np.array_equal(carry, own[0]), engine.kernels
        assert cost() == pytest.approx(nats, rel=1e-6)


def test_the_engine_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle("chorale")
    assert isinstance(open_engine(bundle), NativeEngine)
    assert isinstance(open_engine(bundle, "onnx"), OnnxEngine)
    assert engine_for(bundle) == ("native", "")
    with pytest.raises(UsageError, match="choose auto, native, onnx or torch"):
        open_engine(bundle, "onyx")
    monkeypatch.setattr(engines, "_native_engine", lambda _: "is not here: it was not compiled")
    assert isinstance(open_engine(bundle), OnnxEngine)
    assert engine_for(bundle)[0] == "onnx"
    with pytest.raises(MelodyError, match="not compiled"):
        open_engine(bundle, "native")


def test_without_a_core_everything_is_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "nothing.so")
    native.opened.cache_clear()
    native.core.cache_clear()
    try:
        kind, reason = engine_for(open_bundle("folk"))
        assert kind == "onnx"
        assert "no C compiler" in reason
    finally:
        native.opened.cache_clear()
        native.core.cache_clear()


@needs_core
def test_a_library_of_other_sources_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "fingerprint", lambda: "others")
    library, reason = native.opened.__wrapped__()
    assert library is None
    assert "made of other sources" in reason


# ---- strangers -------------------------------------------------------------------------------------------------------


def changed(change: Callable[[object], None]) -> bytes:
    """The step graph of folk with a change."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(graph_of("folk"))
    change(model.graph)
    return bytes(model.SerializeToString())


def _with_least_weight(graph: object) -> None:
    from onnx import numpy_helper

    tensor = next(one for one in graph.initializer if list(one.dims) == [960, 8, 64])
    values = numpy_helper.to_array(tensor).copy()
    values[0, 0, 0] = 0
    tensor.raw_data = values.tobytes()


def _with_huge_embeddings(graph: object) -> None:
    from onnx import numpy_helper

    tensor = next(one for one in graph.initializer if list(one.dims)[1:] == [1])  # the scales of its rows
    tensor.raw_data = np.full_like(numpy_helper.to_array(tensor), 60000).tobytes()


def _with_offsets_out_of_order(graph: object) -> None:
    tables = 1 + len(open_bundle("folk").channels)  # of tokens, and of each channel
    tensor = next(one for one in graph.initializer if list(one.dims) == [tables])
    tensor.raw_data = np.frombuffer(tensor.raw_data, np.int64)[::-1].tobytes()


def _with_gates_exchanged(graph: object) -> None:
    split = next(node for node in graph.node if node.op_type == "Split")
    split.output[:] = split.output[::-1]


def _with_places_beyond_the_scores(graph: object) -> None:
    tensor = next(one for one in graph.initializer if one.data_type == 5)
    tensor.raw_data = np.full(list(tensor.dims), 600, np.int16).tobytes()


@needs_core
@pytest.mark.parametrize(
    "change",
    [
        _with_least_weight,
        _with_huge_embeddings,
        _with_offsets_out_of_order,
        _with_gates_exchanged,
        _with_places_beyond_the_scores,
    ],
)
def test_other_graphs_are_left_to_onnx_runtime(change: Callable[[object], None]) -> None:
    with pytest.raises(ValueError, match=r"has|is another"):
        NativeEngine(changed(change))


@needs_core
def test_values_beyond_their_size_are_refused() -> None:
    engine = NativeEngine(graph_of("chorale"))
    context = np.zeros((1, engine.shapes.channels), np.int64)
    for token, place, value in ((engine.shapes.vocabulary, 0, 0), (-1, 0, 0), (5, 3, 10_000), (5, 0, -1)):
        told = context.copy()
        told[0, place] = value
        with pytest.raises(MelodyError, match="beyond its size"):
            engine.step(np.array([token]), told, engine.start(1))
    with pytest.raises(MelodyError, match="channels"):
        engine.step(np.array([5]), context[:, :5], engine.start(1))


@needs_core
def test_a_carry_that_is_no_number_is_refused() -> None:
    engine = NativeEngine(graph_of("chorale"))
    context = np.zeros((1, engine.shapes.channels), np.int64)
    for value in (np.nan, np.inf):
        carry = (np.full_like(engine.start(1)[0], value),)
        with pytest.raises(MelodyError, match="gives no numbers"):
            engine.step(np.array([5]), context, carry)


def test_a_bundle_is_served_by_its_own_graph_alone(tmp_path: Path) -> None:
    bundle = open_bundle("chorale")
    settings = dict(bundle.settings) | {"channels": list(bundle.channels)[:5]}
    with pytest.raises(MelodyError, match="other tokens"):
        open_engine(Bundle(bundle.folder, settings))

"""The step graph against the model it was made from, step by step; and rows that do not know their neighbours."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support.small_graphs import CHANNELS, GRAPHS, SIZE, Made  # noqa: E402
from support.small_graphs import graph_of as step_graph_of  # noqa: E402

from melody.engine import Engine, reorder  # noqa: E402
from melody.engine.blocks import quantize_blocks  # noqa: E402
from melody.engine.graphs.parts import operators  # noqa: E402
from melody.engine.onnx import OnnxEngine  # noqa: E402
from melody.engine.torch import TorchEngine  # noqa: E402
from melody.errors import UnreadableFile  # noqa: E402


@pytest.fixture(params=GRAPHS, scope="module")
def made(request: pytest.FixtureRequest) -> Made:
    return GRAPHS[request.param]()


@pytest.fixture
def model(made: Made) -> torch.nn.Module:
    return made[1]


def graph_of(made: Made, eight_bit: bool) -> bytes:
    return step_graph_of(*made, eight_bit)


def walk(engine: Engine, rows: list[int], steps: int = 24) -> np.ndarray:
    """Logits (steps, rows, V) for rows of a fixed random text."""
    generator = np.random.default_rng(0)
    ids = generator.integers(0, SIZE, (steps, 16))[:, rows]
    context = np.stack([generator.integers(0, size, (steps, 16)) for size in CHANNELS], axis=2)[:, rows]
    carry, result = engine.start(len(rows)), []
    for token, channels in zip(ids, context, strict=True):
        logits, carry = engine.step(token, channels, carry)
        result.append(logits)
    return np.stack(result)


def test_the_engines_agree_in_fp32(made, model):
    difference = walk(OnnxEngine(graph_of(made, eight_bit=False)), [0, 1, 2]) - walk(TorchEngine(model), [0, 1, 2])
    assert np.abs(difference).max() < 1e-4


def test_eight_bits_come_close(made, model):
    exact, close = walk(TorchEngine(model), [0, 1, 2]), walk(OnnxEngine(graph_of(made, eight_bit=True)), [0, 1, 2])
    assert 0 < np.abs(close - exact).max() < 0.1 * np.abs(exact).max()


def test_all_matrices_are_eight_bit(made, model):
    found = operators(graph_of(made, eight_bit=True))
    lstms, linears = (sum(isinstance(m, kind) for m in model.modules()) for kind in (torch.nn.LSTM, torch.nn.Linear))
    assert found["MatMulNBits"] == lstms + linears + 1  # and the head
    attends = getattr(model, "attention", None) is not None
    assert found.get("MatMul", 0) == (2 if attends else 0)  # scores and mixing hold no weights


def test_a_row_is_bit_equal_alone_and_among_others(made):
    engine = OnnxEngine(graph_of(made, eight_bit=True))
    together = walk(engine, list(range(16)))
    for row in (0, 7, 15):
        assert np.array_equal(together[:, [row]], walk(engine, [row]))


def test_threads_change_no_bit(made):
    graph = graph_of(made, eight_bit=True)
    assert np.array_equal(
        walk(OnnxEngine(graph, threads=1), [0, 1, 2, 3]), walk(OnnxEngine(graph, threads=2), [0, 1, 2, 3])
    )


def test_reorder_moves_rows(model):
    engine = TorchEngine(model)
    _, carry = engine.step(np.array([1, 2, 3]), np.zeros((3, 2), np.int64), engine.start(3))
    moved = reorder(carry, np.array([2, 0]))
    for old, new in zip(carry, moved, strict=True):
        assert np.array_equal(new, old[[2, 0]])


def test_what_a_step_gave_stays_when_the_engine_goes_on(made):
    engine = OnnxEngine(graph_of(made, eight_bit=True))
    zeros = np.zeros((3, 2), np.int64)
    logits, carry = engine.step(np.array([1, 2, 3]), zeros, engine.start(3))
    before = [part.copy() for part in (logits, *carry)]
    again = [engine.step(np.array([4, 5, 6]), zeros, carry)[0] for _ in range(2)]
    assert all(np.array_equal(old, new) for old, new in zip(before, (logits, *carry), strict=True))
    assert np.array_equal(*again)


def test_an_engine_serves_several_threads(made):
    engine = OnnxEngine(graph_of(made, eight_bit=True))
    alone = [walk(engine, [row]) for row in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda row: walk(engine, [row]), range(4)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("columns", [150, 192, 512])
def test_quantized_blocks_are_within_half_a_step(columns):
    weight = np.random.default_rng(0).normal(size=(10, columns)).astype(np.float32)
    values, scales = quantize_blocks(weight)
    block = values.shape[2]
    back = ((values.astype(np.float32) - 128) * scales.reshape(10, -1, 1)).reshape(10, -1)[:, :columns]
    step = np.repeat(scales.reshape(10, -1), block, axis=1)[:, :columns]
    assert np.all(np.abs(back - weight) <= step / 2 + 1e-7)


def test_other_bytes_are_refused():
    with pytest.raises(UnreadableFile, match="not a step graph"):
        OnnxEngine(b"something else")

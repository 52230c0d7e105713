"""The step graph: one step of a residual LSTM as ONNX, built by hand from its weights (no exporter, no torch).

Matrices are `MatMulNBits`: 8-bit weights with a scale for each block of 64, and activations quantised a row at a
time, so that a row's result does not depend on its neighbours. (`quantize_dynamic` scales activations over the whole
batch.) Embeddings are 16-bit floats, looked up and summed in 32. In fp32 the same graph is the exact reference.

    ids (B,), context (B, C) -> one table of tokens and channels -> sum -> x (B, D)
    for each layer: gates = [x, h] W + b;  c, h = cell(gates, c);  x = x + h
    optionally: x = x + attention over the last M states
    logits (B, V) = x E^T + b
    optionally: logits of pitches + scores of their intervals to what the context tells of
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from melody.tokens.intervals import IntervalView

Floats = NDArray[np.float32]
# Weights of a row that share a scale. With 128 or more a step is a twentieth faster, but on AVX-512 ONNX Runtime then
# sums the last row of an odd batch in another order, and a take would depend on its neighbours.
BLOCK = 64
OPSET = 17


@dataclass(frozen=True)
class Attention:
    """Weights of attention over the last `memory` states; projections are (D, D) and (D,)."""

    heads: int
    memory: int
    query: tuple[Floats, Floats]
    key: tuple[Floats, Floats]
    value: tuple[Floats, Floats]
    out: tuple[Floats, Floats]
    bias: Floats  # (heads, memory): by distance into the past, 0 = the present state


@dataclass(frozen=True)
class Intervals:
    """Weights of the interval head (G F, D) and (G F,), and where its scores belong."""

    scores: tuple[Floats, Floats]
    view: IntervalView


@dataclass(frozen=True)
class StepWeights:
    """The weights of a residual LSTM: what `build_step_graph` needs."""

    embedding: Floats  # (V, D)
    channels: Sequence[Floats]  # (size, D) each
    layers: Sequence[tuple[Floats, Floats]]  # ([W_ih, W_hh] (4D, 2D), b (4D,)) each; gates i, f, g, o
    head_bias: Floats  # (V,)
    attention: Attention | None = None
    intervals: Intervals | None = None


def step_graph(
    weights: Mapping[str, NDArray[Any]],
    options: Mapping[str, Any],
    intervals: IntervalView | None,
    eight_bit: bool = True,
) -> bytes:
    """Return the step graph of a `ResidualLSTM`; see `melody.engine.graphs`."""
    attention = options.get("attention") or {}
    return build_step_graph(step_weights(weights, attention.get("heads", 0), intervals), eight_bit)


def step_weights(
    state: Mapping[str, NDArray[Any]], heads: int = 0, intervals: IntervalView | None = None
) -> StepWeights:
    """The weights in a `ResidualLSTM`'s state dict, with the number of attention heads (0: none) and its view."""
    arrays = {name: np.asarray(value, np.float32) for name, value in state.items()}
    channels = [arrays[f"channels.{index}.weight"] for index in range(_count(arrays, "channels"))]
    layers = [_layer(arrays, f"lstms.{index}.") for index in range(_count(arrays, "lstms"))]
    attention = None
    if heads:
        linear = {n: (arrays[f"attention.{n}.weight"], arrays[f"attention.{n}.bias"]) for n in _PROJECTIONS}
        bias = arrays["attention.distance_bias"]
        attention = Attention(heads, bias.shape[1], **linear, bias=bias)
    scored = None
    if intervals:
        scored = Intervals((arrays["intervals.scores.weight"], arrays["intervals.scores.bias"]), intervals)
    return StepWeights(arrays["embedding.weight"], channels, layers, arrays["head_bias"], attention, scored)


_PROJECTIONS = ("query", "key", "value", "out")


def _count(arrays: Mapping[str, Floats], prefix: str) -> int:
    return len({name.split(".")[1] for name in arrays if name.startswith(f"{prefix}.")})


def _layer(arrays: Mapping[str, Floats], prefix: str) -> tuple[Floats, Floats]:
    both = np.concatenate([arrays[f"{prefix}weight_ih_l0"], arrays[f"{prefix}weight_hh_l0"]], axis=1)
    return both, arrays[f"{prefix}bias_ih_l0"] + arrays[f"{prefix}bias_hh_l0"]


@dataclass
class _Graph:
    """Nodes and constants as they are collected."""

    eight_bit: bool
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def node(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Add an operator; return the name of its output."""
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def nodes_of(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operator with several outputs; return their names."""
        names = [f"{kind}_{len(self.nodes)}_{index}" for index in range(count)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def constant(self, value: NDArray[Any]) -> str:
        """Add a constant; return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def linear(self, x: str, weight: Floats, bias: Floats) -> str:
        """Add x (B, K) W^T + b with W (N, K); return the name of the result."""
        if not self.eight_bit:
            return self.node("Add", self.node("MatMul", x, self.constant(weight.T)), self.constant(bias))
        values, scales = quantize_blocks(weight)
        product = self.node(
            "MatMulNBits",
            x,
            self.constant(values),
            self.constant(scales),
            domain="com.microsoft",
            K=weight.shape[1],
            N=weight.shape[0],
            bits=8,
            block_size=values.shape[2],
            accuracy_level=4,
        )
        return self.node("Add", product, self.constant(bias))


def quantize_blocks(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """8-bit values (N, K / block, block) around 128 and their scales (N * K / block,); K is padded with zeros."""
    rows, columns = weight.shape
    padded = np.pad(weight, ((0, 0), (0, -columns % BLOCK))).reshape(rows, -1, BLOCK)
    scale = np.abs(padded).max(axis=2, keepdims=True) / 127
    values = np.round(padded / np.where(scale == 0, 1, scale)) + 128
    return values.astype(np.uint8), scale.astype(np.float32).ravel()


def build_step_graph(weights: StepWeights, eight_bit: bool = True) -> bytes:
    """The step graph of these weights, serialised."""
    graph = _Graph(eight_bit)
    size, width = weights.embedding.shape
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["B"]),
        helper.make_tensor_value_info("context", TensorProto.INT64, ["B", len(weights.channels)]),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", size])]

    def carry(name: str, *shape: int) -> str:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape]))
        outputs.append(helper.make_tensor_value_info(f"{name}_next", TensorProto.FLOAT, ["B", *shape]))
        return name

    x = _embed(graph, weights)
    for index, (matrix, bias) in enumerate(weights.layers):
        h, c = carry(f"h_{index}", width), carry(f"c_{index}", width)
        x = graph.node("Add", x, _cell(graph, x, h, c, matrix, bias))
    if weights.attention is not None:
        memory = weights.attention.memory
        keys, values = carry("keys", memory, width), carry("values", memory, width)
        filled, pending = carry("filled", memory), carry("pending", 1, width)
        x = graph.node("Add", x, _attend(graph, x, keys, values, filled, pending, weights.attention))
    head = graph.linear(x, weights.embedding, weights.head_bias)
    if weights.intervals is not None:
        head = _score_intervals(graph, head, x, weights.intervals, size)
    graph.node("Identity", head, name="logits")
    proto = helper.make_graph(graph.nodes, "step", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(proto, opset_imports=opsets, ir_version=8, producer_name="melody")
    return bytes(model.SerializeToString())


def operators(graph: bytes) -> dict[str, int]:
    """Count the operators of a step graph."""
    names = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    return {name: names.count(name) for name in sorted(set(names))}


def _embed(graph: _Graph, weights: StepWeights) -> str:
    """The sum (B, D) of the rows of the token and of each channel, from one table with an offset for each channel."""
    tables = [weights.embedding, *weights.channels]
    offsets = np.cumsum([0] + [len(table) for table in tables])[:-1].astype(np.int64)
    dtype = np.float16 if graph.eight_bit else np.float32
    table = graph.constant(np.concatenate(tables).astype(dtype))
    ids = graph.node("Unsqueeze", "ids", graph.constant(np.array([1], np.int64)))
    rows = graph.node("Add", graph.node("Concat", ids, "context", axis=1), graph.constant(offsets))
    found = graph.node("Gather", table, rows)  # (B, 1 + C, D)
    found = graph.node("Cast", found, to=TensorProto.FLOAT)
    return graph.node("ReduceSum", found, graph.constant(np.array([1], np.int64)), keepdims=0)


def _score_intervals(graph: _Graph, logits: str, x: str, intervals: Intervals, size: int) -> str:
    """Logits (B, V) with the scores of the intervals at which each pitch stands in the context."""
    view, (weight, bias) = intervals.view, intervals.scores
    weight, bias = np.pad(weight, ((0, 1), (0, 0))), np.pad(bias, (0, 1))  # a last score that is 0
    scores = graph.linear(x, weight, bias)  # (B, G F + 1)
    columns = graph.node("Gather", "context", graph.constant(view.columns), axis=1)
    rows = graph.node("Add", columns, graph.constant(view.first))  # (B, R)
    references = len(view.columns)
    for kind, tokens in enumerate(view.tokens):
        own = np.where(view.places == view.scores, len(bias) - 1, view.places + kind * view.scores).astype(np.int16)
        found = graph.node("Gather", graph.constant(own), rows)  # (B, R, P)
        flat = graph.node("Reshape", found, graph.constant(np.array([0, references * len(tokens)], np.int64)))
        picked = graph.node("GatherElements", scores, graph.node("Cast", flat, to=TensorProto.INT64), axis=1)
        picked = graph.node("Reshape", picked, graph.constant(np.array([0, references, len(tokens)], np.int64)))
        summed = graph.node("ReduceSum", picked, graph.constant(np.array([1], np.int64)), keepdims=0)  # (B, P)
        around = [0, tokens[0], 0, size - 1 - tokens[-1]]  # a kind's tokens stand side by side
        logits = graph.node("Add", logits, graph.node("Pad", summed, graph.constant(np.array(around, np.int64))))
    return logits


def _cell(graph: _Graph, x: str, h: str, c: str, matrix: Floats, bias: Floats) -> str:
    """One LSTM cell (B, D); the new state goes to ``h_next`` and ``c_next``."""
    gates = graph.linear(graph.node("Concat", x, h, axis=1), matrix, bias)
    i, f, g, o = graph.nodes_of("Split", 4, gates, axis=1)
    kept = graph.node("Mul", graph.node("Sigmoid", f), c)
    added = graph.node("Mul", graph.node("Sigmoid", i), graph.node("Tanh", g))
    state = graph.node("Add", kept, added, name=f"{c}_next")
    return graph.node("Mul", graph.node("Sigmoid", o), graph.node("Tanh", state), name=f"{h}_next")


def _attend(graph: _Graph, x: str, keys: str, values: str, filled: str, pending: str, attention: Attention) -> str:
    """Attention (B, D) of the present state over the last M, itself included; the oldest state falls out."""
    heads, memory = attention.heads, attention.memory
    width = len(attention.query[1])

    def shifted(memory_name: str, new: str) -> str:
        rest = graph.node(
            "Slice",
            memory_name,
            graph.constant(np.array([1], np.int64)),
            graph.constant(np.array([memory], np.int64)),
            graph.constant(np.array([1], np.int64)),
        )
        return graph.node("Concat", rest, new, axis=1, name=f"{memory_name}_next")

    def row(new: str, name: str | None = None) -> str:
        return graph.node("Unsqueeze", new, graph.constant(np.array([1], np.int64)), name=name)

    def by_head(states: str, length: int, permutation: list[int]) -> str:
        shape = graph.constant(np.array([0, length, heads, width // heads], np.int64))
        return graph.node("Transpose", graph.node("Reshape", states, shape), perm=permutation)

    row(graph.linear(x, *attention.key), name=f"{pending}_next")  # for the state to come
    all_keys = shifted(keys, pending)
    all_values = shifted(values, row(graph.linear(x, *attention.value)))
    first = graph.node("Slice", x, *(graph.constant(np.array([i], np.int64)) for i in (0, 1, 1)))  # (B, 1)
    ones = graph.node("Add", graph.node("Sub", first, first), graph.constant(np.ones(1, np.float32)))
    mask = shifted(filled, ones)  # (B, M): 1 where a state stands
    query = by_head(row(graph.linear(x, *attention.query)), 1, [0, 2, 1, 3])  # (B, heads, 1, d)
    scores = graph.node("MatMul", query, by_head(all_keys, memory, [0, 2, 3, 1]))  # (B, heads, 1, M)
    scores = graph.node("Mul", scores, graph.constant(np.array([(width // heads) ** -0.5], np.float32)))
    scores = graph.node("Add", scores, graph.constant(attention.bias[None, :, None, ::-1].copy()))
    absent = graph.node(
        "Mul",
        graph.node("Sub", mask, graph.constant(np.ones(1, np.float32))),
        graph.constant(np.array([1e9], np.float32)),
    )
    scores = graph.node("Add", scores, graph.node("Unsqueeze", absent, graph.constant(np.array([1, 2], np.int64))))
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), by_head(all_values, memory, [0, 2, 1, 3]))
    shape = graph.constant(np.array([0, width], np.int64))
    mixed = graph.node("Reshape", graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), shape)
    return graph.linear(mixed, *attention.out)

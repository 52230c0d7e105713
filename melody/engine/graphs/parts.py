"""Parts of step graphs: ONNX operators collected by hand, weights in 8 bits, and the weights read back.

Matrices are `MatMulNBits`: 8-bit weights with a scale for each block of 64, and activations quantised a row at a
time, so that a row's result does not depend on its neighbours. (`quantize_dynamic` scales activations over the whole
batch; in 4 bits a row alone is summed in another order.) Embeddings are of 8 bits with a scale for each row, looked up
and summed in 32-bit floats. In fp32 the same graph is the exact reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from melody.engine.blocks import Floats, dequantized, quantize_blocks, quantize_rows, spoken, spoken_places
from melody.engine.check.graph import BESIDE
from melody.tokens.intervals import IntervalView

OPSET = 17


@dataclass(frozen=True)
class Intervals:
    """Weights of the interval head (G F, D) and (G F,), and where its scores belong."""

    scores: tuple[Floats, Floats]
    view: IntervalView


@dataclass
class GraphBuilder:
    """Nodes, constants and the carry of a step graph as they are collected."""

    FLOAT = TensorProto.FLOAT  # to cast to

    eight_bit: bool
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    carries: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    besides: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

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

    def carry(self, name: str, *shape: int) -> str:
        """Add a part (B, *shape) of the carry, whose next value is to be called ``NAME_next``; return its name."""
        self.carries.append((name, shape))
        return name

    def beside(self, width: int) -> str:
        """Add the input (B, width) of what an encoder says; return its name."""
        self.besides.append((BESIDE, (width,)))
        return BESIDE

    def serialised(self, logits: str, channels: int, vocabulary: int) -> bytes:
        """Return the graph that gives these logits (B, V) for ids (B,), context (B, C) and the carry.

        What an encoder says, where the model has one, stands before the carry.
        """
        self.node("Identity", logits, name="logits")
        floats = [(name, ["B", *shape]) for name, shape in self.carries]
        told = [(name, ["B", *shape]) for name, shape in self.besides]
        inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["B"]),
            helper.make_tensor_value_info("context", TensorProto.INT64, ["B", channels]),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in told + floats),
        ]
        outputs = [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", vocabulary]),
            *(helper.make_tensor_value_info(f"{name}_next", TensorProto.FLOAT, shape) for name, shape in floats),
        ]
        proto = helper.make_graph(self.nodes, "step", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(proto, opset_imports=opsets, ir_version=8, producer_name="melody")
        return bytes(model.SerializeToString())


class GraphWeights:
    """The weights in a step graph, in the order in which its operators read them. Raises `ValueError` for others."""

    def __init__(self, graph: bytes) -> None:
        proto = onnx.load_from_string(graph).graph
        self._constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.initializer}
        self._nodes = proto.node

    def linears(self) -> list[tuple[Floats, Floats]]:
        """Return the matrix (N, K) and bias (N,) of each product with weights."""
        biases = {node.input[0]: self._constants.get(node.input[1]) for node in self._nodes if node.op_type == "Add"}
        found: list[tuple[Floats, Floats | None]] = []
        for node in self._nodes:
            if node.op_type == "MatMulNBits":
                columns, *_ = (part.i for part in node.attribute if part.name == "K")
                values, scales = (self._constants[name] for name in node.input[1:3])
                found.append((dequantized(values, scales, columns), biases.get(node.output[0])))
            elif node.op_type == "MatMul" and node.input[1] in self._constants:
                found.append((self._constants[node.input[1]].T, biases.get(node.output[0])))
        whole = [(weight, bias) for weight, bias in found if bias is not None and bias.shape == weight.shape[:1]]
        if len(whole) < len(found):
            raise ValueError("has a product of matrices without its bias")
        return whole

    def tables(self, sizes: Sequence[int]) -> list[Floats]:
        """Return the tables (size, D) of the token and of each channel. Raises `ValueError` where they have others."""
        values, scales = self.rows()
        if len(values) != sum(sizes):
            raise ValueError(f"looks up other tables than those of {sum(sizes)} tokens and channels")
        return np.split(values.astype(np.float32) * scales, np.cumsum(sizes)[:-1])

    def rows(self) -> tuple[NDArray[Any], Floats]:
        """Return the rows (rows, D) of all tables, one after the other, and the scale of each (rows, 1).

        Raises `ValueError` where it looks up none.
        """
        gathers = [node for node in self._nodes if node.op_type == "Gather" and node.input[0] in self._constants]
        looked_up = ((node, found) for node in gathers if (found := self._constants[node.input[0]]).ndim == 2)
        at, table = next(looked_up, (None, None))
        if at is None or table is None:
            raise ValueError("looks up no table")
        scale = next(looked_up, (None, None))[1] if table.dtype == np.int8 else np.ones((len(table), 1), np.float32)
        if scale is None or scale.shape != (len(table), 1):
            raise ValueError("looks up a table without its scales")
        spoken_at = (self._constants[node.input[0]] for node in gathers if node.output[0] == at.input[1])
        places = next(spoken_at, np.arange(len(table)))  # none in an older graph
        if not 0 <= places.min() <= places.max() < len(table):
            raise ValueError("looks up rows that its table does not have")
        return table[places], scale[places]

    def of_shape(self, *shape: int) -> Floats:
        """Return the first constant of a shape. Raises `ValueError` where there is none."""
        for value in self._constants.values():
            if value.shape == shape:
                return np.asarray(value, np.float32)
        raise ValueError(f"has no constant of shape {shape}")


def embed(graph: GraphBuilder, tables: Sequence[Floats], seen: NDArray[np.bool_] | None = None) -> str:
    """The sum (B, D) of the rows of the token and of each channel, from one table with an offset for each channel.

    Rows that training has not `seen` (all rows,) are zeros: they are as chance first made them. In 8 bits, all rows of
    zeros are one.
    """
    offsets = np.cumsum([0] + [len(table) for table in tables])[:-1].astype(np.int64)
    table = np.concatenate(tables).astype(np.float32)
    if seen is not None:
        table = table * seen[:, None]
    ids = graph.node("Unsqueeze", "ids", graph.constant(np.array([1], np.int64)))
    rows = graph.node("Add", graph.node("Concat", ids, "context", axis=1), graph.constant(offsets))
    if graph.eight_bit:
        places = spoken_places(table)
        values, scales = quantize_rows(spoken(table, places))
        rows = graph.node("Gather", graph.constant(places), rows)
        found = graph.node("Cast", graph.node("Gather", graph.constant(values), rows), to=TensorProto.FLOAT)
        found = graph.node("Mul", found, graph.node("Gather", graph.constant(scales), rows))  # (B, 1 + C, D)
    else:
        found = graph.node("Gather", graph.constant(table), rows)
    return graph.node("ReduceSum", found, graph.constant(np.array([1], np.int64)), keepdims=0)


def cell(graph: GraphBuilder, x: str, h: str, c: str, matrix: Floats, bias: Floats) -> str:
    """One LSTM cell (B, D); the new state goes to ``h_next`` and ``c_next``."""
    gates = graph.linear(graph.node("Concat", x, h, axis=1), matrix, bias)
    return gated(graph, gates, c, f"{h}_next", f"{c}_next")[0]


def gated(graph: GraphBuilder, gates: str, c: str, h_next: str | None = None, c_next: str | None = None) -> list[str]:
    """The new h and c (B, D) by gates i, f, g, o (B, 4D), under these names."""
    i, f, g, o = graph.nodes_of("Split", 4, gates, axis=1)
    kept = graph.node("Mul", graph.node("Sigmoid", f), c)
    added = graph.node("Mul", graph.node("Sigmoid", i), graph.node("Tanh", g))
    state = graph.node("Add", kept, added, name=c_next)
    return [graph.node("Mul", graph.node("Sigmoid", o), graph.node("Tanh", state), name=h_next), state]


def score_intervals(graph: GraphBuilder, logits: str, x: str, intervals: Intervals, size: int) -> str:
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


def operators(graph: bytes) -> dict[str, int]:
    """Count the operators of a step graph."""
    names = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    return {name: names.count(name) for name in sorted(set(names))}

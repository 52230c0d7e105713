"""Check of a stranger's step graph: read from its protobuf without onnx, before ONNX Runtime sees a byte of it.

- it holds what `melody.engine.graphs` writes and nothing else: no functions, no subgraphs, no other
  fields
- its operators are those of `SHAPES`, of the standard domain and ONNX Runtime's own; no custom ones, no loops
- its weights lie in the file (no external data), are as many as their shapes say, and finite
- the shape of every value follows, operator by operator, and stays below `MOST_ELEMENTS` at a batch of `BATCH`:
  without that a graph of a hundred bytes could ask for all memory by broadcasting a row against a column
- all values together, and all products of matrices, are bounded for a step of one row: a small file cannot ask for
  much memory or time by many operators of which each is allowed
- ids (B,), context (B, C), carry and what an encoder may say beside (B, D) lead to logits (B, V) and the next carry
  of the same shapes

Source: onnx/onnx.proto for the field numbers, docs/Operators.md for the shapes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.engine.check.protobuf import (
    BATCH,
    FLOAT,
    GRAPH,
    INT64,
    MODEL,
    MOST_DIMENSIONS,
    NODE,
    OPSET,
    TYPES,
    Message,
    Shape,
    decoded,
    message,
    one,
    read_attribute,
    read_tensor,
    read_value,
    text,
)

MOST_ELEMENTS = 2**26  # of one value, at a batch of `BATCH`
MOST_IN_ALL = 2**25  # values of a step of one row: 128 MB
LEAST_PRODUCTS, PRODUCTS_A_BYTE = 2**26, 8  # of matrices in a step of one row; 8-bit weights make one for each byte
BESIDE = "beside"  # the input of what an encoder says
DOMAINS = ("", "com.microsoft")


@dataclass(frozen=True)
class StepShapes:
    """Shapes of a step graph: vocabulary size, context channels, and the carry's shapes without batch."""

    vocabulary: int
    channels: int
    carry: dict[str, Shape]
    beside: int = 0  # width of what an encoder adds to the embeddings; 0: the model has none


@dataclass
class _Node:
    """An operator with what is known of its inputs."""

    kind: str
    attributes: dict[str, Any]
    shapes: list[Shape]
    constants: list[NDArray[Any] | None]
    outputs: int

    def ints(self, place: int) -> list[int]:
        """The integers of a constant input: axes, bounds, shapes."""
        value = self.constants[place] if place < len(self.constants) else None
        if value is None or value.dtype != np.int64 or value.ndim > 1 or value.size > MOST_DIMENSIONS:
            raise ValueError(f"{self.kind} wants constants where the graph computes")
        return [int(number) for number in value.reshape(-1)]

    def axis(self, default: int = 0) -> int:
        """The axis of the first input that an attribute names, from 0."""
        return _axis(int(self.attributes.get("axis", default)), len(self.shapes[0]))


@dataclass
class _Known:
    """The values met so far: shapes by name, and the data of the constants; and what they ask for together."""

    constants: dict[str, NDArray[Any]]
    shapes: dict[str, Shape] = field(default_factory=dict)
    elements: int = 0
    products: int = 0

    def add(self, name: str, shape: Shape) -> None:
        """Add a value. Raises `ValueError` for one that is there, or too large."""
        if not name or name in self.shapes:
            raise ValueError(f"value {name[:60]!r} is made twice, or has no name")
        if len(shape) > MOST_DIMENSIONS or min(shape, default=1) < 0 or math.prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"value {name[:60]!r} of shape {shape[:MOST_DIMENSIONS]} is larger than melody allows")
        self.shapes[name] = shape
        self.elements += math.prod(shape)


def check_step_graph(data: bytes | bytearray) -> StepShapes:
    """Return the shapes of a step graph. Raises `ValueError` with the reason where it is none."""
    model = message(memoryview(data), MODEL, "model")
    for part in model.get(8, []):
        if (domain := text(message(part, OPSET, "opset"), 1)) not in DOMAINS:
            raise ValueError(f"uses operators of {domain[:60]!r}; a step graph has only ONNX's and ONNX Runtime's own")
    graph = message(one(model, 7), GRAPH, "graph")
    text(model, 2), text(graph, 2)  # names, of its maker and its own
    constants = [read_tensor(part) for part in graph.get(5, [])]
    inputs, known = _read(graph, constants, BATCH)
    shapes = _interface(inputs, [read_value(part)[0] for part in graph.get(12, [])], known)
    _, alone = _read(graph, constants, 1)
    if alone.elements - sum(values.size for _, values in constants) > MOST_IN_ALL:
        raise ValueError("asks for more values than melody allows")
    if alone.products > max(LEAST_PRODUCTS, PRODUCTS_A_BYTE * len(data)):
        raise ValueError("asks for more products than melody allows a file of its size")
    return shapes


def _read(
    graph: Message, constants: list[tuple[str, NDArray[Any]]], batch: int
) -> tuple[list[tuple[str, int, Shape]], _Known]:
    """Return the inputs of a graph (name, type, shape) and all that follows from them for a batch of so many rows."""
    known = _Known(dict(constants))
    for name, values in constants:
        known.add(name, values.shape)
    inputs = [read_value(part, batch) for part in graph.get(11, [])]
    for name, _, shape in inputs:
        known.add(name, shape)
    for part in graph.get(1, []):
        _follow(message(part, NODE, "node"), known)
    return inputs, known


def _interface(inputs: list[tuple[str, int, Shape]], outputs: list[str], known: _Known) -> StepShapes:
    """Hold the graph to what an engine asks of it."""
    head, carry = [(name, kind, len(shape)) for name, kind, shape in inputs[:2]], inputs[2:]
    beside = next((shape[1] for name, kind, shape in carry[:1] if (name, kind, len(shape)) == (BESIDE, FLOAT, 2)), 0)
    carry = carry[1:] if beside else carry
    if head != [("ids", INT64, 1), ("context", INT64, 2)] or any(kind != FLOAT or len(s) < 2 for _, kind, s in carry):
        raise ValueError("does not read ids (B,), context (B, C) and a carry")
    if sorted(outputs) != sorted(["logits", *(f"{name}_next" for name, _, _ in carry)]):
        raise ValueError("does not give logits and the next carry")
    for name, _, shape in carry:
        if (after := known.shapes.get(f"{name}_next")) != shape:
            raise ValueError(f"carry {name[:60]!r} of shape {shape} becomes one of {after}")
    logits = known.shapes.get("logits", ())
    if len(logits) != 2 or any(shape[0] != BATCH for shape in (logits, *(shape for _, _, shape in inputs))):
        raise ValueError("does not keep the batch in front")
    return StepShapes(logits[1], inputs[1][2][1], {name: shape[1:] for name, _, shape in carry}, beside)


def _follow(node: Message, known: _Known) -> None:
    """Add the outputs of a node to what is known."""
    kind, domain = text(node, 4), text(node, 7)
    if kind not in SHAPES or domain != (DOMAINS[1] if kind == "MatMulNBits" else ""):
        name = f"{domain}.{kind}" if domain else kind
        raise ValueError(f"uses the operator {name[:60]!r}, which no step graph has")
    names = [decoded(part) for part in node.get(1, [])]
    if missing := [name for name in names if name not in known.shapes]:
        raise ValueError(f"{kind} reads {missing[0][:60]!r}, which nothing makes before it")
    shapes, constants = [known.shapes[name] for name in names], [known.constants.get(name) for name in names]
    outputs = [decoded(part) for part in node.get(2, [])]
    attributes = dict(map(read_attribute, node.get(5, [])))
    if len(attributes) != len(node.get(5, [])):
        raise ValueError(f"{kind} has an attribute twice")
    try:
        results = SHAPES[kind](_Node(kind, attributes, shapes, constants, len(outputs)))
    except (IndexError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{kind} lacks an input or attribute, or has one that does not fit") from error
    for name, shape in zip(outputs, results, strict=True):
        known.add(name, shape)
        if kind in ("MatMul", "MatMulNBits"):
            known.products += math.prod(shape) * shapes[0][-1]


def _axis(axis: int, dimensions: int) -> int:
    if not -dimensions <= axis < dimensions:
        raise ValueError(f"axis {axis} of {dimensions} dimensions")
    return axis % dimensions


def _broadcast(node: _Node) -> list[Shape]:
    return [np.broadcast_shapes(*node.shapes)]


def _same(node: _Node) -> list[Shape]:
    (shape,) = node.shapes
    return [shape]


def _cast(node: _Node) -> list[Shape]:
    if node.attributes["to"] not in TYPES:
        raise ValueError(f"casts to the type {node.attributes['to']}")
    return _same(node)


def _matmul(node: _Node) -> list[Shape]:
    a, b = node.shapes
    if a[-1] != b[-2]:
        raise ValueError(f"multiplies {a} by {b}")
    return [(*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])]


def _matmul_n_bits(node: _Node) -> list[Shape]:
    x, values, scales = node.shapes
    k, n, bits, block = (int(node.attributes[name]) for name in ("K", "N", "bits", "block_size"))
    blocks = -(-k // block)
    fits = bits in (4, 8) and block in (16, 32, 64, 128, 256) and x[-1] == k > 0 and n > 0
    if not fits or values != (n, blocks, block * bits // 8) or math.prod(scales) != n * blocks:
        raise ValueError(f"multiplies {x} by {n} x {k} weights kept as {values} and {scales}")
    return [(*x[:-1], n)]


def _unsqueeze(node: _Node) -> list[Shape]:
    (shape, _), axes = node.shapes, node.ints(1)
    places = {_axis(axis, len(shape) + len(axes)) for axis in axes}
    rest = iter(shape)
    return [tuple(1 if place in places else next(rest) for place in range(len(shape) + len(places)))]


def _concat(node: _Node) -> list[Shape]:
    axis, first = node.axis(), node.shapes[0]
    if any((*s[:axis], *s[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]) for s in node.shapes):
        raise ValueError(f"joins {node.shapes[:4]}")
    return [(*first[:axis], sum(shape[axis] for shape in node.shapes), *first[axis + 1 :])]


def _gather(node: _Node) -> list[Shape]:
    (table, rows), axis = node.shapes, node.axis()
    return [(*table[:axis], *rows, *table[axis + 1 :])]


def _gather_elements(node: _Node) -> list[Shape]:
    (table, places), axis = node.shapes, node.axis()
    if len(table) != len(places) or any(m > n for i, (m, n) in enumerate(zip(places, table, strict=True)) if i != axis):
        raise ValueError(f"picks {places} out of {table}")
    return [places]


def _pad(node: _Node) -> list[Shape]:
    shape, around = node.shapes[0], node.ints(1)
    if len(node.shapes) != 2 or len(around) != 2 * len(shape) or min(around, default=0) < 0:
        raise ValueError(f"pads {shape} by {around}")
    return [tuple(a + n + b for a, n, b in zip(around[: len(shape)], shape, around[len(shape) :], strict=True))]


def _reduce_sum(node: _Node) -> list[Shape]:
    (shape, _), gone = node.shapes, {_axis(axis, len(node.shapes[0])) for axis in node.ints(1)}
    keep = node.attributes.get("keepdims", 1)
    return [tuple(1 if place in gone else n for place, n in enumerate(shape) if keep or place not in gone)]


def _split(node: _Node) -> list[Shape]:
    (shape,), axis = node.shapes, node.axis()
    if shape[axis] % node.outputs:
        raise ValueError(f"splits {shape} in {node.outputs}")
    return [(*shape[:axis], shape[axis] // node.outputs, *shape[axis + 1 :])] * node.outputs


def _slice(node: _Node) -> list[Shape]:
    shape = list(node.shapes[0])
    (start,), (end,), (axis,) = (node.ints(place) for place in (1, 2, 3))
    axis = _axis(axis, len(shape))
    shape[axis] = len(range(*slice(start, end).indices(shape[axis])))
    return [tuple(shape)] if len(node.shapes) == 4 else []


def _transpose(node: _Node) -> list[Shape]:
    (shape,), order = node.shapes, node.attributes["perm"]
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"turns {shape} by {order[:MOST_DIMENSIONS]}")
    return [tuple(shape[axis] for axis in order)]


def _reshape(node: _Node) -> list[Shape]:
    (shape, _), wanted = node.shapes, node.ints(1)
    result = tuple(n or shape[place] for place, n in enumerate(wanted))
    if min(result, default=0) < 1 or math.prod(result) != math.prod(shape):
        raise ValueError(f"reshapes {shape} to {wanted}")
    return [result]


SHAPES: dict[str, Callable[[_Node], list[Shape]]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Equal"), _broadcast),
    **dict.fromkeys(("Identity", "Sigmoid", "Tanh", "Softmax"), _same),
    "Cast": _cast,
    "Concat": _concat,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "MatMul": _matmul,
    "MatMulNBits": _matmul_n_bits,
    "Pad": _pad,
    "ReduceSum": _reduce_sum,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

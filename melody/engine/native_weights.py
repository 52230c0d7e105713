"""The weights of a residual LSTM, read from its step graph for the native engine; an encoder may stand beside it.

A graph is served where it is, operator by operator, the one that `melody.engine.graphs.residual_lstm` writes, or wrote
when tables were 16-bit floats, in 8 bits without attention, and within the core's limits. Any other is left to ONNX
Runtime as a whole. All is checked here: the core trusts what it gets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.engine.blocks import BLOCK, TABLE_UNIT
from melody.engine.check.graph import BESIDE, StepShapes, check_step_graph
from melody.engine.check.protobuf import (
    FLOAT,
    GRAPH,
    INT64,
    MODEL,
    NODE,
    decoded,
    message,
    one,
    read_attribute,
    read_tensor,
    text,
)

Array = NDArray[Any]
MOST_WIDTH, MOST_LAYERS, MOST_CHANNELS, MOST_REFERENCES, MOST_SCORES = 1024, 16, 255, 32, 4096  # core/step.h
MOST_TOKENS = 2**15

# The operators in their order: results, kind, attributes that matter, inputs; # is a constant. {l} is the layer.
_LOOK_UP = """
rows = Unsqueeze ids #first_axis
joined = Concat:axis=1 rows context
places = Add joined #offsets
"""
_SPOKEN = """
stands = Gather:axis=0 #places_of_rows places
"""
_FOUND = """
found = Gather:axis=0 #table {places}
floats = Cast:to=1 found
"""
_SCALE = """
scale = Gather:axis=0 #table_scales {places}
rows_found = Mul floats scale
"""
_EMBED = """
{x} = ReduceSum:keepdims=0 {floats} #summed_axis
"""
_BESIDE = """
x_0 = Add embedded beside
"""
_LAYER = """
both_{l} = Concat:axis=1 x_{l} h_{l}
product_{l} = MatMulNBits:bits=8,block_size=64 both_{l} #values_{l} #scales_{l}
gates_{l} = Add product_{l} #bias_{l}
i_{l} f_{l} g_{l} o_{l} = Split:axis=1 gates_{l}
keep_{l} = Sigmoid f_{l}
kept_{l} = Mul keep_{l} c_{l}
add_{l} = Sigmoid i_{l}
new_{l} = Tanh g_{l}
added_{l} = Mul add_{l} new_{l}
c_{l}_next = Add kept_{l} added_{l}
show_{l} = Sigmoid o_{l}
shown_{l} = Tanh c_{l}_next
h_{l}_next = Mul show_{l} shown_{l}
x_{n} = Add x_{l} h_{l}_next
"""
_HEAD = """
product = MatMulNBits:bits=8,block_size=64 x_{l} #values_head #scales_head
head = Add product #bias_head
"""
_INTERVALS = """
scored = MatMulNBits:bits=8,block_size=64 x_{l} #values_scores #scales_scores
scores = Add scored #bias_scores
told = Gather:axis=1 context #columns
picked = Add told #first
own = Gather:axis=0 #places picked
flat = Reshape own #flat_shape
wide = Cast:to=7 flat
each = GatherElements:axis=1 scores wide
by_reference = Reshape each #reference_shape
summed = ReduceSum:keepdims=0 by_reference #reference_axis
around = Pad summed #around
both = Add head around
"""


@dataclass(frozen=True)
class Linear:
    """A matrix (N, K) in blocks of 64: values (N, blocks, 64) around 128, scales (N, blocks), bias (N,)."""

    values: NDArray[np.uint8]
    scales: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class EmbeddingRows:
    """Rows of the token and of each channel, as whole numbers times a whole scale each, in `TABLE_UNIT`s."""

    values: NDArray[np.int8] | NDArray[np.int32]  # (table rows, D)
    scales: NDArray[np.int32]  # (table rows, 1)
    places: NDArray[np.int32]  # (rows,): where each row stands in the table

    @property
    def whole(self) -> NDArray[np.int32]:
        """The table (table rows, D), sums of whose rows are the same in any order."""
        return self.values * self.scales


@dataclass(frozen=True)
class IntervalScores:
    """The scores of intervals, and which of them each value of a reference gives each pitch."""

    linear: Linear
    columns: NDArray[np.int32]  # (R,)
    first: NDArray[np.int32]  # (R,): row of `places` of a reference's value 0
    places: NDArray[np.int16]  # (values, P)
    first_pitch: int  # the token of the lowest


@dataclass(frozen=True)
class CoreWeights:
    """A residual LSTM as the core takes it."""

    shapes: StepShapes
    table: EmbeddingRows
    first: NDArray[np.int32]  # (C + 2,): row of the first token, of each channel's value 0, and the number of rows
    layers: list[Linear]
    head: Linear
    intervals: IntervalScores | None


def read_weights(data: bytes) -> CoreWeights:
    """The weights of a step graph. Raises `ValueError` with the reason where the core does not serve it."""
    shapes, layers, found = constants_of(data)
    width = next(iter(shapes.carry.values()))[0]
    same = all(shape == (width,) for shape in shapes.carry.values())
    within = width <= MOST_WIDTH and 0 < layers <= MOST_LAYERS and shapes.channels <= MOST_CHANNELS
    if not same or not within or shapes.vocabulary > MOST_TOKENS or shapes.beside not in (0, width):
        raise ValueError("is larger than the native core takes")
    offsets = found["offsets"].astype(np.int64).reshape(-1)
    table = _table(found["table"], found.get("table_scales"), found.get("places_of_rows"), offsets)
    first = np.append(offsets, len(table.places))
    if (
        first[0] != 0
        or (np.diff(first) <= 0).any()
        or first[1] < shapes.vocabulary
        or len(first) != shapes.channels + 2
    ):
        raise ValueError("has a table whose parts do not follow each other")
    return CoreWeights(
        shapes=shapes,
        table=table,
        first=first.astype(np.int32),
        layers=[_linear(found, str(layer), 4 * width, 2 * width) for layer in range(layers)],
        head=_linear(found, "head", shapes.vocabulary, width),
        intervals=_intervals(found, first, shapes, width) if "columns" in found else None,
    )


def constants_of(data: bytes | bytearray) -> tuple[StepShapes, int, dict[str, Array]]:
    """The shapes, layers and constants of a step graph, by their names here; the arrays are views of the data.

    Raises `ValueError` with the reason where the core does not serve it.
    """
    shapes = check_step_graph(data)
    layers = sum(name.startswith("h_") for name in shapes.carry)
    graph = message(one(message(memoryview(data), MODEL, "model"), 7), GRAPH, "graph")
    constants = dict(read_tensor(part) for part in graph.get(5, []))
    nodes = [message(part, NODE, "node") for part in graph.get(1, [])]
    return shapes, layers, _match(nodes, constants, layers, shapes.beside > 0)


def _table(values: Array, scales: Array | None, places: Array | None, offsets: Array) -> EmbeddingRows:
    """The table in whole numbers; 16-bit floats above 2^-10, of an older graph that has no scales, are so exactly.

    In an older graph the table has all rows, in their order.
    """
    own = np.arange(len(values), dtype=np.int32) if places is None else places
    if own.dtype != np.int32 or own.ndim != 1 or not 0 <= own.min(initial=0) <= own.max(initial=0) < len(values):
        raise ValueError("has rows that do not stand in its table")
    floats = (values if scales is None else scales).astype(np.float64) * TABLE_UNIT
    if scales is not None and (values.dtype != np.int8 or scales.shape != (len(values), 1) or (floats % 1).any()):
        raise ValueError("has a table of another type or scale than melody writes")
    rows = floats if scales is None else values * floats
    largest = np.abs(rows).max(axis=1, initial=0)[own]
    most = sum(float(part.max(initial=0)) for part in np.split(largest, offsets[1:]))
    if most >= 2**31 - 2**16:
        raise ValueError("has embeddings whose sum is larger than the native core takes")
    whole = np.round(floats).astype(np.int32)
    ones = np.ones((len(whole), 1), np.int32)
    return EmbeddingRows(whole, ones, own) if scales is None else EmbeddingRows(values, whole, own)


def _match(nodes: list[Any], constants: dict[str, Array], layers: int, beside: bool) -> dict[str, Array]:
    """The constants of a graph by the names that they have here. Raises `ValueError` for any other graph."""
    kinds = [text(node, 4) for node in nodes[:7]]
    spoken, with_scales = kinds[3:5] == ["Gather"] * 2, kinds.count("Gather") > 1
    found_at = (_FOUND + _SCALE * with_scales).format(places="stands" if spoken else "places")
    names_in_sum = {"floats": "rows_found" if with_scales else "floats", "x": "embedded" if beside else "x_0"}
    embed = [_LOOK_UP, *[_SPOKEN] * spoken, found_at, _EMBED.format(**names_in_sum)]
    parts = [
        *embed,
        *[_BESIDE] * beside,
        *(_LAYER.format(l=layer, n=layer + 1) for layer in range(layers)),
        _HEAD.format(l=layers),
    ]
    lines = "".join(parts).split("\n")
    with_intervals = len(nodes) > sum(map(bool, lines)) + 1
    lines += _INTERVALS.format(l=layers).split("\n") if with_intervals else []
    lines = [*filter(None, lines), f"logits = Identity {'both' if with_intervals else 'head'}"]
    if len(lines) != len(nodes):
        raise ValueError("is another model than a residual LSTM without attention")
    fixed = {"ids", "context", "logits", BESIDE} | {
        f"{part}_{n}{end}" for part in "hc" for n in range(layers) for end in ("", "_next")
    }
    names = {name: name for name in fixed}
    found: dict[str, Array] = {}
    for line, node in zip(lines, nodes, strict=True):
        for wanted, name in _pairs(line, node):
            if wanted.startswith("#"):
                if name not in constants:
                    raise ValueError("computes what is a constant in a residual LSTM")
                found[wanted[1:]] = constants[name]
            elif names.setdefault(wanted, name) != name:
                raise ValueError("is another model than a residual LSTM without attention")
    return found


def _pairs(line: str, node: Any) -> Iterator[tuple[str, str]]:
    """The names in a line of the pattern, each with that of the graph. Raises `ValueError` where it does not fit."""
    results, _, rest = line.partition(" = ")
    kind, *inputs = rest.split()
    kind, _, wanted = kind.partition(":")
    attributes = {"axis": 0} | dict(map(read_attribute, node.get(5, [])))
    asked = dict(pair.split("=") for pair in wanted.split(",") if pair)
    own = [decoded(part) for part in node.get(1, [])], [decoded(part) for part in node.get(2, [])]
    fits = text(node, 4) == kind and all(str(attributes.get(name)) == value for name, value in asked.items())
    if not fits or (len(own[0]), len(own[1])) != (len(inputs), len(results.split())):
        raise ValueError("is another model than a residual LSTM without attention")
    yield from zip(inputs, own[0], strict=True)
    yield from zip(results.split(), own[1], strict=True)


def _linear(found: dict[str, Array], name: str, outputs: int, inputs: int) -> Linear:
    values, scales, bias = found[f"values_{name}"], found[f"scales_{name}"], found[f"bias_{name}"]
    blocks = -(-inputs // BLOCK)
    typed = values.dtype == np.uint8 and scales.dtype == bias.dtype == np.float32
    if not typed or values.shape != (outputs, blocks, BLOCK) or bias.shape != (outputs,):
        raise ValueError("has a matrix of another shape or type than the native core takes")
    if (values == 0).any():  # AVX2 multiplies weights of -127 to 127
        raise ValueError("has 8-bit weights of -128, which melody does not write")
    return Linear(values, scales.reshape(outputs, blocks), bias)


def _intervals(found: dict[str, Array], first_rows: Array, shapes: StepShapes, width: int) -> IntervalScores:
    columns, first, places = found["columns"].reshape(-1), found["first"].reshape(-1), found["places"]
    count = len(found["bias_scores"])
    values, pitches = places.shape
    sizes = np.diff(first_rows)[1:]  # of the channels
    begin = int(found["around"].reshape(-1)[1])
    fits = (
        len(columns) == len(first) <= MOST_REFERENCES
        and 1 < count <= MOST_SCORES
        and places.dtype == np.int16
        and 0 <= columns.min(initial=0) <= columns.max(initial=0) < shapes.channels
        and first.min(initial=0) >= 0
        and (first + sizes[columns] <= values).all()
        and 0 <= places.min(initial=0) <= places.max(initial=0) < count
        and begin + pitches <= shapes.vocabulary
    )
    if not fits:
        raise ValueError("has an interval head of another shape than the native core takes")
    linear = _linear(found, "scores", count, width)
    if linear.bias[-1] != 0 or linear.scales[-1].any():
        raise ValueError("has an interval head whose last score is not 0")
    return IntervalScores(linear, columns.astype(np.int32), first.astype(np.int32), places, begin)


_ = FLOAT, INT64

"""The step graph of a residual LSTM, built by hand from its weights (no exporter, no torch), and read back.

ids (B,), context (B, C) -> one table of tokens and channels -> sum -> x (B, D)
of the decoder of an encoder-decoder: x = x + what the encoder says beside (B, D)
for each layer: gates = [x, h] W + b;  c, h = cell(gates, c);  x = x + h
optionally: x = x + attention over the last M states
logits (B, V) = x E^T + b
optionally: logits of pitches + scores of their intervals to what the context tells of
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.engine.blocks import Floats
from melody.engine.graphs.parts import GraphBuilder, GraphWeights, Intervals, cell, embed, score_intervals
from melody.tokens.intervals import IntervalView


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
    views: Mapping[str, Any],
    eight_bit: bool = True,
    seen: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return the step graph of a `ResidualLSTM`; see `melody.engine.graphs`."""
    attention = options.get("attention") or {}
    return build_step_graph(step_weights(weights, attention.get("heads", 0), views.get("intervals")), eight_bit, seen)


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
_IN_GRAPH = ("key", "value", "query", "out")  # in the order in which a step computes them


def _count(arrays: Mapping[str, Floats], prefix: str) -> int:
    return len({name.split(".")[1] for name in arrays if name.startswith(f"{prefix}.")})


def _layer(arrays: Mapping[str, Floats], prefix: str) -> tuple[Floats, Floats]:
    both = np.concatenate([arrays[f"{prefix}weight_ih_l0"], arrays[f"{prefix}weight_hh_l0"]], axis=1)
    return both, arrays[f"{prefix}bias_ih_l0"] + arrays[f"{prefix}bias_hh_l0"]


def build_step_graph(
    weights: StepWeights, eight_bit: bool = True, seen: NDArray[np.bool_] | None = None, beside: bool = False
) -> bytes:
    """The step graph of these weights, serialised; see `embed` of `seen`. An encoder may stand `beside` them."""
    graph = GraphBuilder(eight_bit)
    size, width = weights.embedding.shape
    x = embed(graph, [weights.embedding, *weights.channels], seen)
    if beside:
        x = graph.node("Add", x, graph.beside(width))
    for index, (matrix, bias) in enumerate(weights.layers):
        h, c = graph.carry(f"h_{index}", width), graph.carry(f"c_{index}", width)
        x = graph.node("Add", x, cell(graph, x, h, c, matrix, bias))
    if weights.attention is not None:
        x = graph.node("Add", x, _attend(graph, x, weights.attention))
    head = graph.linear(x, weights.embedding, weights.head_bias)
    if weights.intervals is not None:
        head = score_intervals(graph, head, x, weights.intervals, size)
    return graph.serialised(head, len(weights.channels), size)


def graph_weights(graph: bytes, options: Mapping[str, Any], sizes: Sequence[int]) -> dict[str, Floats]:
    """Return the state dict of a `ResidualLSTM` out of its step graph; see `melody.engine.graphs`.

    Of the two biases of a layer only the sum counts: it goes to the first.
    """
    found = GraphWeights(graph)
    _, *channels = found.tables(sizes)
    state = {f"channels.{index}.weight": table for index, table in enumerate(channels)}
    linears = iter(found.linears())
    for index, (both, bias) in zip(range(options["layers"]), linears, strict=False):
        weight_ih, weight_hh = np.split(both, 2, axis=1)
        state |= {f"lstms.{index}.weight_ih_l0": weight_ih, f"lstms.{index}.weight_hh_l0": weight_hh}
        state |= {f"lstms.{index}.bias_ih_l0": bias, f"lstms.{index}.bias_hh_l0": np.zeros_like(bias)}
    if attention := options.get("attention"):
        for name, (weight, bias) in zip(_IN_GRAPH, linears, strict=False):
            state |= {f"attention.{name}.weight": weight, f"attention.{name}.bias": bias}
        heads, memory = attention["heads"], attention["memory"]
        state["attention.distance_bias"] = found.of_shape(1, heads, 1, memory)[0, :, 0, ::-1].copy()
    for weight, bias in islice(linears, 1):  # tied: the table has the same rows, but not those that were never read
        state |= {"embedding.weight": weight, "head_bias": bias}
    for weight, bias in linears:  # without the score that is 0
        state |= {"intervals.scores.weight": weight[:-1], "intervals.scores.bias": bias[:-1]}
    return state


def _attend(graph: GraphBuilder, x: str, attention: Attention) -> str:
    """Attention (B, D) of the present state over the last M, itself included; the oldest state falls out."""
    heads, memory = attention.heads, attention.memory
    width = len(attention.query[1])
    keys, values = graph.carry("keys", memory, width), graph.carry("values", memory, width)
    filled, pending = graph.carry("filled", memory), graph.carry("pending", 1, width)

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

"""The step graph of a clockwork LSTM, built from its weights and read back.

ids (B,), context (B, C) -> the beat, bar and phrase that this is; ticks where it is another than before
the stream x as in the residual LSTM; for each layer, from the slowest part to the fastest:
gates = [x, slower parts, own h] W + b;  state = the cell's where its clock ticks, else as it was
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.engine.blocks import Floats
from melody.engine.graphs.parts import GraphBuilder, GraphWeights, Intervals, embed, gated, score_intervals
from melody.tokens.clock import ClockView

PARTS = 4


def step_graph(
    weights: Mapping[str, NDArray[Any]],
    options: Mapping[str, Any],
    views: Mapping[str, Any],
    eight_bit: bool = True,
    seen: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return the step graph of a `ClockworkLSTM`; see `melody.engine.graphs`."""
    arrays = {name: np.asarray(value, np.float32) for name, value in weights.items()}
    channels = [arrays[f"channels.{n}.weight"] for n in range(sum(name.startswith("channels.") for name in arrays))]
    embedding = arrays["embedding.weight"]
    size, width = embedding.shape
    graph = GraphBuilder(eight_bit)
    ticks = _ticks(graph, views["clock"])
    x = embed(graph, [embedding, *channels], seen)
    for layer in range(options["layers"]):
        h, c = graph.carry(f"h_{layer}", width), graph.carry(f"c_{layer}", width)
        x = graph.node("Add", x, _layer(graph, x, h, c, ticks, arrays, f"layers.{layer}.parts"))
    head = graph.linear(x, embedding, arrays["head_bias"])
    if views.get("intervals") is not None:
        pair = arrays["intervals.scores.weight"], arrays["intervals.scores.bias"]
        head = score_intervals(graph, head, x, Intervals(pair, views["intervals"]), size)
    return graph.serialised(head, len(channels), size)


def graph_weights(graph: bytes, options: Mapping[str, Any], sizes: Sequence[int]) -> dict[str, Floats]:
    """Return the state dict of a `ClockworkLSTM` out of its step graph; see `melody.engine.graphs`."""
    found = GraphWeights(graph)
    _, *channels = found.tables(sizes)
    state = {f"channels.{index}.weight": table for index, table in enumerate(channels)}
    linears = iter(found.linears())
    for layer in range(options["layers"]):
        for place, (both, bias) in zip(reversed(range(PARTS)), linears, strict=False):
            own, name = len(bias) // 4, f"layers.{layer}.parts.{place}"
            state |= {f"{name}.weight_ih_l0": both[:, :-own], f"{name}.weight_hh_l0": both[:, -own:]}
            state |= {f"{name}.bias_ih_l0": bias, f"{name}.bias_hh_l0": np.zeros_like(bias)}
    for weight, bias in islice(linears, 1):  # tied: the table has the same rows, but not those that were never read
        state |= {"embedding.weight": weight, "head_bias": bias}
    for weight, bias in linears:  # without the score that is 0
        state |= {"intervals.scores.weight": weight[:-1], "intervals.scores.bias": bias[:-1]}
    return state


def _ticks(graph: GraphBuilder, clock: ClockView) -> list[str]:
    """Numbers (B, 1), 1 where a beat, a bar, a phrase begins and else 0; the clock of the carry goes on."""
    before = graph.carry("clock", 2)
    position, meter, phrase = (
        graph.node("Gather", "context", graph.constant(np.array([column], np.int64)), axis=1)
        for column in clock.columns
    )  # (B, 1) each
    row = graph.node("Mul", meter, graph.constant(np.array([clock.beats.shape[1]], np.int64)))
    beat = graph.node("Gather", graph.constant(clock.beats.ravel()), graph.node("Add", row, position))
    four = graph.node("Gather", graph.constant(clock.phrases), phrase)
    now = graph.node("Concat", beat, four, axis=1, name=f"{before}_next")
    one = graph.constant(np.ones(1, np.float32))
    same = graph.node("Cast", graph.node("Equal", now, before), to=graph.FLOAT)
    beat, phrase = graph.nodes_of("Split", 2, graph.node("Sub", one, same), axis=1)  # (B, 1): 1 where they changed
    bar = graph.node("Gather", graph.constant(clock.bars), "ids")
    bar = graph.node("Unsqueeze", bar, graph.constant(np.array([1], np.int64)))
    either = graph.node("Sub", graph.node("Add", beat, bar), graph.node("Mul", beat, bar))
    return [either, bar, phrase]


def _layer(
    graph: GraphBuilder, x: str, h: str, c: str, ticks: Sequence[str], arrays: Mapping[str, Floats], name: str
) -> str:
    """The outputs (B, D) of a layer; the new states go to ``h_next`` and ``c_next``."""
    parts = [
        {key: arrays[f"{name}.{place}.{key}_l0"] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        for place in range(PARTS)
    ]
    ends = np.cumsum([0, *(part["weight_hh"].shape[1] for part in parts)])
    hs, cs = [""] * PARTS, [""] * PARTS
    for place in reversed(range(PARTS)):
        part, bounds = parts[place], (int(ends[place]), int(ends[place + 1]))
        old_h, old_c = (_columns(graph, state, *bounds) for state in (h, c))
        matrix = np.concatenate([part["weight_ih"], part["weight_hh"]], axis=1)
        told = graph.node("Concat", x, *hs[place + 1 :], old_h, axis=1)
        hs[place], cs[place] = gated(graph, graph.linear(told, matrix, part["bias_ih"] + part["bias_hh"]), old_c)
        if place:
            hs[place] = _moved(graph, old_h, hs[place], ticks[place - 1])
            cs[place] = _moved(graph, old_c, cs[place], ticks[place - 1])
    graph.node("Concat", *cs, axis=1, name=f"{c}_next")
    return graph.node("Concat", *hs, axis=1, name=f"{h}_next")


def _columns(graph: GraphBuilder, state: str, first: int, end: int) -> str:
    bounds = (graph.constant(np.array([number], np.int64)) for number in (first, end, 1))
    return graph.node("Slice", state, *bounds)


def _moved(graph: GraphBuilder, old: str, new: str, tick: str) -> str:
    """The new state (B, K) where the clock ticks (B, 1), else the old one, to the bit."""
    still = graph.node("Sub", graph.constant(np.ones(1, np.float32)), tick)
    return graph.node("Add", graph.node("Mul", new, tick), graph.node("Mul", old, still))

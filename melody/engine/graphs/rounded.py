"""A step graph that is there with weights of fewer bits: layers in 4 or 6 instead of 8, tables in 8 or 6."""

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from melody.engine.blocks import quantize_rows, rounded_blocks, six_bit_blocks, six_bit_rows, spoken, spoken_places
from melody.engine.graphs.parts import GraphWeights


def with_short_layers(graph: bytes, layers: Collection[int]) -> bytes:
    """Return the graph of a residual LSTM with these layers (from 0) in 4 bits, see `rounded_blocks`."""
    model = onnx.load_from_string(graph)
    products = [node for node in model.graph.node if node.op_type == "MatMulNBits"]
    for layer in layers:
        values, scales = (_constant(model, name) for name in products[layer].input[1:3])
        _put((values, scales), rounded_blocks(numpy_helper.to_array(values), numpy_helper.to_array(scales)))
    return bytes(model.SerializeToString())


def with_six_bits(graph: bytes, layers: Collection[int], table: bool = True) -> bytes:
    """Return the graph of a residual LSTM with these layers (from 0), and its table if asked for, in 6 bits."""
    model = onnx.load_from_string(graph)
    products = [node for node in model.graph.node if node.op_type == "MatMulNBits"]
    for layer in layers:
        values, scales = (_constant(model, name) for name in products[layer].input[1:3])
        _put((values, scales), six_bit_blocks(numpy_helper.to_array(values), numpy_helper.to_array(scales)))
    if table:
        flat = {tensor.name: len(tensor.dims) < 2 for tensor in model.graph.initializer}
        looked_up = [n.input[0] for n in model.graph.node if n.op_type == "Gather" and not flat.get(n.input[0], True)]
        values, scales = (_constant(model, name) for name in looked_up[:2])
        _put((values, scales), six_bit_rows(numpy_helper.to_array(values), numpy_helper.to_array(scales)))
    return bytes(model.SerializeToString())


def with_short_tables(graph: bytes, seen: NDArray[np.bool_] | None = None) -> bytes:
    """Return the graph with its table in 8 bits; rows that training has not `seen` (all rows,) are zeros, and one."""
    model, (rows, scale) = onnx.load_from_string(graph), GraphWeights(graph).rows()
    values, scales = (rows, scale) if rows.dtype == np.int8 else quantize_rows(rows)
    if seen is not None:
        values = values * seen[:, None]
    places = spoken_places(values)
    nodes, constants = model.graph.node, model.graph.initializer
    kinds, flat = [node.op_type for node in nodes], {tensor.name: len(tensor.dims) < 2 for tensor in constants}
    table_at = next(at for at, node in enumerate(nodes) if kinds[at] == "Gather" and not flat.get(node.input[0], True))
    begin = table_at - (kinds[table_at - 1] == "Gather")  # in an older graph all rows stand in the table
    end = kinds.index("ReduceSum", begin)
    gone = {node.input[0] for node in nodes[begin:end] if node.op_type == "Gather"}
    kept = [tensor for tensor in constants if tensor.name not in gone]
    new = {"rows": places, "table": spoken(values, places), "table_scales": spoken(scales, places)}
    look_up = [
        helper.make_node("Gather", ["rows", nodes[begin].input[1]], ["spoken"]),
        helper.make_node("Gather", ["table", "spoken"], ["values"]),
        helper.make_node("Cast", ["values"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["table_scales", "spoken"], ["scales"]),
        helper.make_node("Mul", ["floats", "scales"], ["found"]),
    ]
    nodes[end].input[0] = "found"
    after = [*nodes[:begin], *look_up, *nodes[end:]]
    del nodes[:], constants[:]
    nodes.extend(after)
    constants.extend([*kept, *(numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in new.items())])
    return bytes(model.SerializeToString())


def _constant(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def _put(tensors: tuple[Any, Any], arrays: tuple[NDArray[Any], NDArray[Any]]) -> None:
    for tensor, array in zip(tensors, arrays, strict=True):
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))

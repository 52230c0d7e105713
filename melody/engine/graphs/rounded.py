"""A step graph that is there with weights of fewer bits: layers in 4 instead of 8, tables in 8 instead of 16."""

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from melody.engine.blocks import quantize_rows, rounded_blocks


def with_short_layers(graph: bytes, layers: Collection[int]) -> bytes:
    """Return the graph of a residual LSTM with these layers (from 0) in 4 bits, see `rounded_blocks`."""
    model = onnx.load_from_string(graph)
    products = [node for node in model.graph.node if node.op_type == "MatMulNBits"]
    for layer in layers:
        values, scales = (_constant(model, name) for name in products[layer].input[1:3])
        _put((values, scales), rounded_blocks(numpy_helper.to_array(values), numpy_helper.to_array(scales)))
    return bytes(model.SerializeToString())


def with_short_tables(graph: bytes, seen: NDArray[np.bool_] | None = None) -> bytes:
    """Return the graph with its table in 8 bits, whose rows that training has not `seen` (all rows,) are zeros."""
    model = onnx.load_from_string(graph)
    nodes = model.graph.node
    at = next(place for place, node in enumerate(nodes) if node.op_type == "Gather" and _is_table(model, node.input[0]))
    table, cast = _constant(model, nodes[at].input[0]), nodes[at + 1]
    values = numpy_helper.to_array(table).astype(np.float32)
    if (scaled := nodes[at + 2]).op_type == "Gather":
        scales = _constant(model, scaled.input[0])
        values = values * numpy_helper.to_array(scales)
    else:
        scales = model.graph.initializer.add(name="table_scales")
        scale = helper.make_node("Gather", ["table_scales", nodes[at].input[1]], ["table_scale"])
        product = helper.make_node("Mul", [cast.output[0], "table_scale"], ["table_rows"])
        scaled.input[0] = "table_rows"  # of the sum
        nodes.insert(at + 2, scale), nodes.insert(at + 3, product)
    _put((table, scales), quantize_rows(values if seen is None else values * seen[:, None]))
    return bytes(model.SerializeToString())


def _constant(model: Any, name: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def _is_table(model: Any, name: str) -> bool:
    return any(tensor.name == name and len(tensor.dims) == 2 for tensor in model.graph.initializer)


def _put(tensors: tuple[Any, Any], arrays: tuple[NDArray[Any], NDArray[Any]]) -> None:
    for tensor, array in zip(tensors, arrays, strict=True):
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))

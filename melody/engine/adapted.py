"""A bundle's step graph as it is stepped: with the change of an adapter in its head, where the bundle has one."""

import numpy as np

from melody.bundle import Bundle
from melody.engine.blocks import dequantized, quantize_blocks
from melody.engine.native_weights import constants_of
from melody.errors import MelodyError


def step_graph_of(bundle: Bundle) -> bytes:
    """Return the bytes of the step graph. Raises `MelodyError` for an adapter on a model that takes none.

    The head with the change is quantised anew, in its place: all else of the graph stays as it is.
    """
    graph = bundle.read("step.onnx")
    if bundle.adapter is None:
        return graph
    data = bytearray(graph)
    try:
        shapes, _, found = constants_of(data)
        if shapes.beside:
            raise ValueError("has an encoder")
    except ValueError as error:
        raise MelodyError(f"{bundle.name}: the model {error}; an adapter is for a residual LSTM in 8 bits") from error
    more, bias = bundle.adapter.change()
    values, scales = found["values_head"], found["scales_head"]  # views of `data`
    weight = dequantized(values, scales, more.shape[1]) + more
    new_values, new_scales = quantize_blocks(weight)
    values[:], scales.reshape(-1)[:] = new_values, new_scales
    np.add(found["bias_head"], bias, out=found["bias_head"])
    return bytes(data)

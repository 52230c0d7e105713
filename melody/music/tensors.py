"""Weights of the small networks that stand beside a model, as a file holds them.

Large matrices (N, K) are whole numbers of 8 bits, or of 6 that stand in 8 and pack better, with a scale (N, 1) for each
row under their name and `SCALE`, all else are floats; earlier files hold floats alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALE = ".scale"
FEW = 1000  # weights that stay floats
SMALL = 6  # bits of planners and harmonists: the plan of quartets costs 4.088 nats a bar on valid, in 8 bits 4.090


def shortened(weights: Mapping[str, NDArray[Any]], bits: int = 8) -> dict[str, NDArray[Any]]:
    """Return the tensors of these weights in so many bits, 8 or fewer."""
    tensors: dict[str, NDArray[Any]] = {}
    for name, weight in weights.items():
        if weight.ndim != 2 or weight.size < FEW:
            tensors[name] = np.ascontiguousarray(weight, np.float16)
            continue
        scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True), 1e-9).astype(np.float32)
        scale /= 2 ** (bits - 1) - 1
        tensors[name] = np.ascontiguousarray(np.rint(weight / scale), np.int8)
        tensors[name + SCALE] = scale
    return tensors


def tensors_of(
    kind: str, tensors: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """The tensors of these names and shapes, in 32 bits.

    Raises `ValueError` where one is missing or of another shape: what was given is then no `kind`.
    """
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape:
            there = list(tensors[name].shape) if name in tensors else "none"
            raise ValueError(f"is no {kind}: its {name} should be of shape {list(shape)}, there is {there}")
    return {name: _widened(kind, name, tensors[name], tensors.get(name + SCALE)) for name in shapes}


def _widened(kind: str, name: str, tensor: NDArray[Any], scale: NDArray[Any] | None) -> NDArray[np.float32]:
    wide = np.asarray(tensor, np.float32)
    if scale is None:
        return wide
    if scale.shape != (*tensor.shape[:1], 1):
        raise ValueError(f"is no {kind}: the scales of its {name} should be those of {len(tensor)} rows")
    with np.errstate(over="ignore"):
        wide = np.asarray(wide * scale, np.float32)
    if not np.isfinite(wide).all():
        raise ValueError(f"is no {kind}: the scales of its {name} are too large")
    return wide

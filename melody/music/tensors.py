"""Weights of the small networks that stand beside a model, as a file holds them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    return {name: np.asarray(tensors[name], np.float32) for name in shapes}

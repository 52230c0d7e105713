"""The carry: all that passes from one window to the next, as a nest of tensors whose first dimension is the batch.

Because every part is batch first, the functions here are written once for every model.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Carry = Any  # a Tensor, or a dict of carries


def map_carry(function: Callable[..., Tensor], *carries: Carry) -> Carry:
    """The nest of `function` applied to the tensors that stand in the same place."""
    first = carries[0]
    if isinstance(first, dict):
        return {name: map_carry(function, *(carry[name] for carry in carries)) for name in first}
    return function(*carries)


def detach(carry: Carry) -> Carry:
    """The carry without its history: gradients stop at the window's edge."""
    return map_carry(lambda part: part.detach(), carry)


def reset(carry: Carry, initial: Carry, rows: Tensor) -> Carry:
    """The carry with the rows (B,) that are True as in `initial`: a new piece begins there."""
    return map_carry(lambda old, new: torch.where(rows.view(-1, *[1] * (old.ndim - 1)), new, old), carry, initial)


def reorder(carry: Carry, index: Tensor) -> Carry:
    """The carry whose row i is the old row `index[i]`."""
    return map_carry(lambda part: part[index], carry)


def flatten(carry: Carry, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a nest by name, as in "memory.keys"."""
    if isinstance(carry, dict):
        return {k: v for name, part in carry.items() for k, v in flatten(part, f"{prefix}{name}.").items()}
    return {prefix.rstrip("."): carry}


def unflatten(tensors: dict[str, Tensor]) -> Carry:
    """The nest of tensors by name."""
    nest: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *path, last = name.split(".")
        place = nest
        for part in path:
            place = place.setdefault(part, {})
        place[last] = tensor
    return nest

"""The carry: all that passes from one window to the next, as a nest of tensors whose first dimension is the batch.

What a model is conditioned on is such a nest too, and what the model makes of it is part of the carry.

A nest is a tensor, or a dict, tuple or list of nests. What training and generation do with it (cut the gradient, start
a lane afresh, follow a beam, write a checkpoint) is written here once, for every model.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

Carry: TypeAlias = Tensor | dict[str, "Carry"] | tuple["Carry", ...] | list["Carry"]


def map_tensors(function: Callable[..., Tensor], carry: Carry, *others: Carry) -> Carry:
    """The nest of `function(tensor, *tensors at the same place in others)`."""
    if isinstance(carry, Tensor):
        return function(carry, *others)
    if isinstance(carry, dict):
        return {key: map_tensors(function, part, *(o[key] for o in others)) for key, part in carry.items()}  # type: ignore[call-overload, index]
    parts = [map_tensors(function, part, *(o[i] for o in others)) for i, part in enumerate(carry)]  # type: ignore[index]
    return tuple(parts) if isinstance(carry, tuple) else parts


def detach(carry: Carry) -> Carry:
    """The same values without their history: back-propagation ends here."""
    return map_tensors(lambda tensor: tensor.detach(), carry)


def reset(carry: Carry, initial: Carry, mask: Tensor) -> Carry:
    """`initial` in the rows where `mask` (B,) is true, `carry` in the others."""

    def choose(tensor: Tensor, start: Tensor) -> Tensor:
        return torch.where(mask.view(-1, *[1] * (tensor.dim() - 1)), start, tensor)

    return map_tensors(choose, carry, initial)


def reorder(carry: Carry, index: Tensor) -> Carry:
    """The carry whose row i is the old row `index[i]`; the batch becomes as long as `index`."""
    return map_tensors(lambda tensor: tensor.index_select(0, index), carry)


def unconditioned(model: str, condition: Carry | None) -> None:
    """Refuse a condition, for a model that takes none. Raises `ValueError`."""
    if condition is not None:
        raise ValueError(f"model {model} takes no condition; leave it out, or train a model that is conditioned")


def flatten(carry: Carry, prefix: str = "") -> dict[str, Tensor]:
    """The tensors by name: keys and positions on the way to them, joined by dots."""
    if isinstance(carry, Tensor):
        return {prefix: carry}
    items = carry.items() if isinstance(carry, dict) else ((str(i), part) for i, part in enumerate(carry))
    parts = [flatten(part, f"{prefix}.{key}" if prefix else key) for key, part in items]
    return {name: tensor for part in parts for name, tensor in part.items()}


def unflatten(tensors: Mapping[str, Tensor]) -> Carry:
    """The nest whose tensors `flatten` named; a level of numbers becomes a tuple."""
    if "" in tensors:
        return tensors[""]
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        key, _, rest = name.partition(".")
        parts.setdefault(key, {})[rest] = tensor
    nest = {key: unflatten(part) for key, part in parts.items()}
    return tuple(nest[str(i)] for i in range(len(nest))) if "0" in nest else nest

"""Weights from which a run starts instead of random ones: those of a finished model, to be trained further."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from melody.errors import ConfigError


@dataclass(frozen=True)
class Base:
    """A finished model's weights, by the model's own names."""

    name: str
    sha256: str  # of the file that they come from: a run goes on with the same base alone
    weights: Mapping[str, NDArray[Any]]  # of floats of any size
    new: frozenset[str] = frozenset()  # those of them that it did not know, all zeros


def take_over(model: nn.Module, base: Base) -> None:
    """Give a model the weights of its base. Raises `ConfigError` where they are not this model's."""
    weights = {name: torch.from_numpy(weight).float() for name, weight in base.weights.items()}
    mine = {name: weight.shape for name, weight in model.state_dict().items()}
    if mine != {name: weight.shape for name, weight in weights.items()}:
        raise ConfigError(f"{base.name}: its weights do not fit the model of the configuration; give it the base's own")
    model.load_state_dict(weights)

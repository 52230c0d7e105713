"""The beginning of a piece for a model with an encoder, which has read once what is given of it."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Engine
from melody.tokens.given import given_names, told_of


@runtime_checkable
class ToldEngine(Protocol):
    """An engine of a model that may have an encoder."""

    @property
    def steps(self) -> int:
        """Steps of a piece that its encoder reads; 0: it has none."""

    def start_told(self, told: NDArray[np.integer]) -> Carry:
        """Return the carry before pieces of which this (B, steps, F) is given."""


def is_told(engine: Engine) -> TypeGuard[ToldEngine]:
    """Return True for the engine of a model with an encoder."""
    return isinstance(engine, ToldEngine) and engine.steps > 0


def start_for(engine: Engine, readers: Sequence[Any]) -> Carry:
    """The carry before the pieces of these readers, whose plans say what is given."""
    if not is_told(engine):
        return engine.start(len(readers))
    rows = [
        told_of(reader.plan.foreseen, given_names(reader.columns.layout.channels), engine.steps) for reader in readers
    ]
    return engine.start_told(np.stack(rows))

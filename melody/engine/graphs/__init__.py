"""Step graphs: one step of a model as ONNX, built from its weights, for the default engine.

A builder takes the model's weights by name, the options of its section, how pitches relate to channels where the model
scores intervals, and the precision; it returns the serialised graph. A model without one composes by the torch engine.

To add one: a file and a line in `STEP_GRAPHS`; an operator that no step graph has yet also needs a line in
`melody.engine.check.graph`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from melody.engine.graphs import residual_lstm
from melody.tokens.intervals import IntervalView


class StepGraph(Protocol):
    """A builder of step graphs; see the module."""

    def __call__(
        self,
        weights: Mapping[str, NDArray[Any]],
        options: Mapping[str, Any],
        intervals: IntervalView | None,
        eight_bit: bool = True,
    ) -> bytes:
        """Return the step graph of a model."""


STEP_GRAPHS: dict[str, StepGraph] = {"residual_lstm": residual_lstm.step_graph}

"""Step graphs: one step of a model as ONNX, built from its weights for the default engine, and the weights read back.

`build` takes the model's weights by name, the options of its section, its views of the tokens (`melody.tokens.views`),
the precision, and which rows of its tables training has seen; it returns the serialised graph. `weights` takes a graph
that has been checked, the options and the sizes of the vocabulary and each channel, and returns the state dict: so a
bundle holds them once. Of a model with an encoder, which runs once a piece, the graph is the rest, and `encoder` finds
it among the weights. A model without a step graph composes by the torch engine. `rounded` gives a graph that is there
weights of fewer bits.

To add one: a file and a line in `STEP_GRAPHS`; an operator that no step graph has yet also needs a line in
`melody.engine.check.graph`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from melody.engine.graphs import clockwork_lstm, encoder_decoder, residual_lstm
from melody.tokens.encoder import Encoder


class BuildGraph(Protocol):
    """A builder of step graphs; see the module."""

    def __call__(
        self,
        weights: Mapping[str, NDArray[Any]],
        options: Mapping[str, Any],
        views: Mapping[str, Any],
        eight_bit: bool = True,
        seen: NDArray[np.bool_] | None = None,
    ) -> bytes:
        """Return the step graph of a model."""


class ReadWeights(Protocol):
    """The way back; see the module."""

    def __call__(
        self, graph: bytes, options: Mapping[str, Any], sizes: Sequence[int]
    ) -> dict[str, NDArray[np.float32]]:
        """Return a model's state dict. Raises `ValueError` for a graph that is none of its kind."""


class StepGraph(NamedTuple):
    """Both ways between the weights of a model and its step graph."""

    build: BuildGraph
    weights: ReadWeights
    encoder: Callable[[Mapping[str, NDArray[Any]]], Encoder] | None = None


STEP_GRAPHS: dict[str, StepGraph] = {
    "residual_lstm": StepGraph(residual_lstm.step_graph, residual_lstm.graph_weights),
    "clockwork_lstm": StepGraph(clockwork_lstm.step_graph, clockwork_lstm.graph_weights),
    "encoder_decoder": StepGraph(encoder_decoder.step_graph, encoder_decoder.graph_weights, encoder_decoder.encoder_of),
}

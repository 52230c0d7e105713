"""The step graph of an encoder-decoder: its decoder's, a residual LSTM, with one input more.

That input is what the encoder says beside the place of the token. The encoder runs once a piece and is no part of the
graph: its weights are an `Encoder` (`melody.tokens.encoder`), a file of their own in a bundle.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.engine.blocks import Floats
from melody.engine.graphs import residual_lstm
from melody.engine.graphs.residual_lstm import build_step_graph, step_weights
from melody.tokens.encoder import Encoder

PREFIX = "decoder."


def step_graph(
    weights: Mapping[str, NDArray[Any]],
    options: Mapping[str, Any],
    views: Mapping[str, Any],
    eight_bit: bool = True,
    seen: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return the step graph of an `EncoderDecoder`; see `melody.engine.graphs`."""
    own = {name.removeprefix(PREFIX): weight for name, weight in weights.items() if name.startswith(PREFIX)}
    return build_step_graph(step_weights(own, intervals=views.get("intervals")), eight_bit, seen, beside=True)


def graph_weights(graph: bytes, options: Mapping[str, Any], sizes: Sequence[int]) -> dict[str, Floats]:
    """Return the decoder's part of the state dict out of its step graph; see `melody.engine.graphs`."""
    own = residual_lstm.graph_weights(graph, options, sizes)
    return {PREFIX + name: weight for name, weight in own.items()}


def encoder_of(weights: Mapping[str, NDArray[Any]]) -> Encoder:
    """Return the encoder of an `EncoderDecoder`'s state dict."""
    return Encoder.of({name: weight for name, weight in weights.items() if not name.startswith(PREFIX)})

"""The files of a bundle that hold its model: a step graph, and an encoder beside it, or the weights as they are."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from melody.bundle.bundle import ENCODER, WEIGHTS
from melody.config import TrainConfig
from melody.tokens import EventTokenizer
from melody.tokens.encoder import Encoder
from melody.tokens.views import views_of


def model_files(
    weights: Mapping[str, NDArray[np.float32]],
    config: TrainConfig,
    channels: Sequence[str],
    seen: NDArray[np.bool_] | None = None,
) -> dict[str, bytes]:
    """Return the files of a bundle that hold its model: the step graph, and an encoder, or else all weights.

    `seen` is as `step_graph_of` has it.
    """
    from safetensors.numpy import save

    graph = step_graph_of(weights, config, channels, seen=seen)
    if graph is None:
        return {WEIGHTS: save({name: np.ascontiguousarray(weight, np.float16) for name, weight in weights.items()})}
    encoder = encoder_of(weights, config)
    return {"step.onnx": graph} | ({} if encoder is None else {ENCODER: save(encoder.arrays())})


def encoder_of(weights: Mapping[str, NDArray[np.float32]], config: TrainConfig) -> Encoder | None:
    """Return the encoder of a model; None for one without."""
    from melody.engine.graphs import STEP_GRAPHS

    known = STEP_GRAPHS.get(config.model.name)
    return known.encoder(weights) if known is not None and known.encoder is not None else None


def step_graph_of(
    weights: Mapping[str, NDArray[np.float32]],
    config: TrainConfig,
    channels: Sequence[str],
    eight_bit: bool = True,
    seen: NDArray[np.bool_] | None = None,
) -> bytes | None:
    """Return the step graph of a model of events that is told these channels; None for a kind of model without one.

    Rows of tables that training has not `seen` (all rows,) are zeros in it.
    """
    from melody.engine.graphs import STEP_GRAPHS

    known = STEP_GRAPHS.get(config.model.name)
    if known is None:
        return None
    views = views_of(EventTokenizer(tuple(channels)), config.model.model_dump())
    return known.build(weights, config.model.options(), views, eight_bit, seen)

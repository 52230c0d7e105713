"""Small models of every kind that has a step graph, and their graphs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from melody.engine.graphs import STEP_GRAPHS
from melody.models import build
from melody.tokens.clock import ClockView
from melody.tokens.intervals import IntervalView

SIZE, CHANNELS = 50, (7, 5)
SIZES = (SIZE, *CHANNELS)
INTERVALS = IntervalView(  # two kinds of three pitches, seven scores each, the eighth is 0
    tokens=np.array([[10, 11, 12], [40, 41, 42]]),
    columns=np.array([1, 0]),
    first=np.array([0, 5]),
    places=np.concatenate([np.arange(15).reshape(5, 3) % 8, np.arange(21).reshape(7, 3) % 5]),
    scores=7,
)
CLOCK = ClockView(  # a beat is two values of the first channel, a phrase two of the second, a bar token 1
    columns=np.array([0, 1, 1]),
    bars=np.eye(SIZE, dtype=np.float32)[1],
    beats=np.arange(35, dtype=np.float32).reshape(5, 7) // 2,
    phrases=np.arange(5, dtype=np.float32) // 2,
)
CLOCKWORK = {"hidden_size": 96, "layers": 2, "beat": 32, "bar": 16, "phrase": 8, "clock": CLOCK}
Made = tuple[str, nn.Module, dict[str, Any]]


def _maker(name: str, **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        torch.manual_seed(1)
        model = build(name, SIZE, CHANNELS, **options)
        with torch.no_grad():
            for part, weight in model.named_parameters():
                if "bias" in part:
                    weight.add_(torch.randn_like(weight) * 0.3)
        return name, model, options

    return make


GRAPHS = {
    "plain": _maker("residual_lstm", hidden_size=96, layers=2),
    "wide": _maker("residual_lstm", hidden_size=128, layers=2),
    "attention": _maker("residual_lstm", hidden_size=96, layers=2, attention={"heads": 4, "memory": 9}),
    "intervals": _maker("residual_lstm", hidden_size=96, layers=2, intervals=INTERVALS),
    "clockwork": _maker("clockwork_lstm", **CLOCKWORK),
    "clockwork with intervals": _maker("clockwork_lstm", **CLOCKWORK, intervals=INTERVALS),
}


def graph_of(name: str, model: nn.Module, options: dict[str, Any], eight_bit: bool) -> bytes:
    """The step graph of a model that `GRAPHS` made."""
    weights = {part: weight.numpy() for part, weight in model.state_dict().items()}
    return STEP_GRAPHS[name].build(weights, options, options, eight_bit)  # its views stand among the options

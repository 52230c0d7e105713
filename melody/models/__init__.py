"""Models and their contract: `model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)`.

`tokens[t]` has just been read, `context[:, t]` holds integer channels that follow from the tokens up to t and the plan,
`logits[t]` predict token t + 1. The carry (see `melody.models.carry`) starts as `model.initial_carry(batch_size)`.
`model.causal` says whether logits depend on the past alone. Models never see a note.

To add a model: one file, one line in `MODELS`, one section in `melody.config`.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from melody.errors import ConfigError
from melody.models.residual_lstm import ResidualLSTM

MODELS = {"residual_lstm": ResidualLSTM}


def build(name: str, vocabulary_size: int, channel_sizes: Sequence[int], **options: Any) -> nn.Module:
    """A fresh model by its name in `MODELS`. Raises `ConfigError` for an unknown name or options that do not fit."""
    if name not in MODELS:
        raise ConfigError(f"model {name!r} is unknown; there are: {', '.join(MODELS)}")
    try:
        return MODELS[name](vocabulary_size, channel_sizes, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {name}: {error}") from error


__all__ = ["MODELS", "ResidualLSTM", "build"]

"""Models under one contract: ``model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)``.

``logits[:, t]`` predict the token after ``tokens[:, t]``; a causal model's depend on nothing later. ``context`` holds
integer channels that are functions of the past tokens and the plan. A model never sees a note.
"""

from typing import Any

from torch import nn

from melody.models.residual_lstm import ResidualLSTM

MODELS: dict[str, type[nn.Module]] = {"residual_lstm": ResidualLSTM}


def build(name: str, **options: Any) -> nn.Module:
    """A model by its name in `MODELS`."""
    return MODELS[name](**options)


__all__ = ["MODELS", "ResidualLSTM", "build"]

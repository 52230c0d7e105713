"""Models and their contract. Models never see a note.

    model.start(batch_size, condition=None) -> carry
    model(tokens (B, T), carry, context (B, T, C)) -> (logits (B, T, V), carry)

- `tokens[:, t]` has just been read; `logits[:, t]` predict token t + 1 from the past alone.
- `context[:, t]` holds integer channels that follow from the tokens up to t and the plan.
- The carry is all that passes from one window to the next (`melody.models.carry`): fp32, the batch first. Windows glued
  by the carry equal one pass, and a row does not depend on the rows beside it.
- A condition is what a model is told of a whole piece, a nest of tensors with the batch first. `start` puts what the
  model makes of it into the carry, so that resets, beams, checkpoints and engines treat it like any other state. A
  model that takes none raises `ValueError` for one.

To add a model: one file and one line in `MODELS` here, one section in `melody.config`, and for the default engine one
step graph in `melody.engine.graphs`; without it the model composes by the torch engine. The tests of the contract
(`tests/models/test_contract.py`) run over every model of `MODELS`.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from melody.errors import ConfigError
from melody.models.clockwork_lstm import ClockworkLSTM
from melody.models.encoder_decoder import EncoderDecoder
from melody.models.residual_lstm import ResidualLSTM
from melody.models.transformer import Transformer

MODELS: dict[str, type[nn.Module]] = {
    "residual_lstm": ResidualLSTM,
    "clockwork_lstm": ClockworkLSTM,
    "encoder_decoder": EncoderDecoder,
    "transformer": Transformer,
}


def build(name: str, vocabulary_size: int, channel_sizes: Sequence[int], **options: Any) -> nn.Module:
    """A fresh model by its name in `MODELS`. Raises `ConfigError` for an unknown name or options that do not fit."""
    if name not in MODELS:
        raise ConfigError(f"model {name!r} is unknown; there are: {', '.join(MODELS)}")
    try:
        return MODELS[name](vocabulary_size, channel_sizes, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {name}: {error}") from error


__all__ = ["MODELS", "ClockworkLSTM", "EncoderDecoder", "ResidualLSTM", "Transformer", "build"]

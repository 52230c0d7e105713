"""Musical clocks: at which tokens a beat, a bar, a phrase of four bars begins, as tables that a model can look up.

A part of a model's state that moves with a clock stands still between its ticks (`melody.models.clockwork_lstm`). Each
clock is a number that follows from a token and the channels beside it, and ticks where that number is another one than
before; the bar's ticks with each Bar token. Of music the model sees nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.errors import ConfigError
from melody.music.score import GRID
from melody.tokens.channels import Channel
from melody.tokens.vocabulary import METERS, Vocabulary

NAMES = ("position", "meter", "phrase")  # the channels that tell the time
PHRASE = 4  # bars


@dataclass(frozen=True)
class ClockView:
    """Knowledge of time for a model, as plain numbers."""

    columns: NDArray[np.int64]  # (3,): the context channels position, meter and phrase
    bars: NDArray[np.float32]  # (V,): 1 for the token that begins a bar
    beats: NDArray[np.float32]  # (meters, positions): which beat of the bar that is, from 1; 0: not known
    phrases: NDArray[np.float32]  # (values of phrase,): which four bars that is, from 1; 0: not known


def clock_view(vocabulary: Vocabulary, channels: Sequence[Channel]) -> ClockView:
    """The clocks of these tokens and channels. Raises `ConfigError` where a channel or bars are missing."""
    column = {channel.name: place for place, channel in enumerate(channels)}
    if "Bar" not in vocabulary.ids:
        raise ConfigError("model clockwork_lstm: these tokens have no bars; prepare the corpus as events")
    if missing := [name for name in NAMES if name not in column]:
        raise ConfigError(
            f"model clockwork_lstm: its clocks need the channels {', '.join(NAMES)}; "
            f"add {', '.join(missing)} to data.channels"
        )
    sizes = {channel.name: channel.size for channel in channels}
    bars = np.zeros(len(vocabulary), np.float32)
    bars[vocabulary.ids["Bar"]] = 1
    beats = np.zeros((sizes["meter"], sizes["position"]), np.float32)
    for meter, (numerator, denominator) in enumerate(METERS):
        beats[1 + meter, 1:] = 1 + np.arange(sizes["position"] - 1) // beat_ticks(numerator, denominator)
    phrases = (np.arange(sizes["phrase"]) + PHRASE - 1) // PHRASE
    return ClockView(np.array([column[name] for name in NAMES]), bars, beats, phrases.astype(np.float32))


def beat_ticks(numerator: int, denominator: int) -> int:
    """Return the length of a meter's beat in ticks: of 6/8, 9/8, 12/8 and their like three of the written unit."""
    unit = 4 * GRID // denominator
    return 3 * unit if denominator >= 8 and numerator > 3 and numerator % 3 == 0 else unit

"""The grid of what is given of a whole piece, in eighths, as a model's encoder reads it; and where each token stands.

The same conditions as the ``foreseen`` channels tell place by place (`melody.tokens.conditions`): chords, and notes of
tracks that are fixed. A row holds those of its first tick.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.errors import ConfigError
from melody.music.score import GRID, bar_length
from melody.tokens.channels import Channel, foreseeing
from melody.tokens.vocabulary import METERS, Vocabulary

STEP = GRID // 2  # ticks


@dataclass(frozen=True)
class GivenView:
    """Knowledge of what is told, as plain numbers."""

    names: tuple[str, ...]  # of the channels whose values are told
    sizes: tuple[int, ...]  # of each
    columns: NDArray[np.int64]  # (2,): the context channels position and meter
    bar: int  # the token that begins a bar
    lengths: NDArray[np.int64]  # ticks of a bar, by the meter's channel
    step: int = STEP  # ticks


def given_names(channels: Sequence[Channel]) -> tuple[str, ...]:
    """The names of the channels that tell what is given."""
    return tuple(
        channel.name
        for channel in channels
        if channel.name.startswith(("given_", "chord")) and channel.group == "foreseen"
    )


def given_view(vocabulary: Vocabulary, channels: Sequence[Channel]) -> GivenView:
    """The view of these tokens and channels. Raises `ConfigError` where a channel or bars are missing."""
    column = {channel.name: place for place, channel in enumerate(channels)}
    told = given_names(channels)
    if "Bar" not in vocabulary.ids or not {"position", "meter"} <= column.keys() or not told:
        raise ConfigError("model encoder_decoder: it needs bars, and the channels read and foreseen in data.channels")
    return GivenView(
        told,
        tuple(channel.size for channel in channels if channel.name in told),
        np.array([column["position"], column["meter"]]),
        vocabulary.ids["Bar"][0],
        np.array([0, *(int(bar_length(*meter, GRID)) for meter in METERS)]),
    )


def given_rows(table: NDArray[np.int16] | None, voices: int, names: Sequence[str], steps: int) -> NDArray[np.int64]:
    """The grid (steps, F) of these channels out of a table (ticks, all foreseen); zeros behind its end, or without."""
    if table is None:
        return np.zeros((steps, len(names)), np.int64)
    place = {channel.name: column for column, channel in enumerate(foreseeing(voices))}
    rows = table[::STEP][:steps, [place[name] for name in names]]
    result = np.zeros((steps, len(names)), np.int64)
    result[: len(rows)] = rows
    return result

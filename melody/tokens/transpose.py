"""Transposition as table lookup, so that training can draw a new one for every piece and pass."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.music.score import shift_signature
from melody.tokens.channels import Channel
from melody.tokens.vocabulary import KEYS, Vocabulary


def shift_ids(vocabulary: Vocabulary, shifts: Sequence[int]) -> NDArray[np.int32]:
    """For each shift (in semitones) and id the id it becomes, shape (S, V): pitches and keys move, all else stays."""
    table = np.tile(np.arange(len(vocabulary), dtype=np.int32), (len(shifts), 1))
    pitches, keys = vocabulary.ids["Pitch"], vocabulary.ids["Key"]
    for row, shift in zip(table, shifts, strict=True):
        row[pitches.start : pitches.stop] = pitches.start + _shift_pitch(np.arange(128), shift)
        if shift:
            row[keys.start : keys.stop] = [keys[KEYS.index((shift_signature(s, shift), t))] for s, t in KEYS]
    return table


def shift_channels(channels: Sequence[Channel], shifts: Sequence[int]) -> list[NDArray[np.int16]]:
    """For each channel a table (S, size) of the values that its values become."""
    return [np.stack([_shift_channel(channel, shift) for shift in shifts]) for channel in channels]


def _shift_channel(channel: Channel, shift: int) -> NDArray[np.int16]:
    values = np.arange(channel.size, dtype=np.int16)
    if channel.moves == "pitch":
        values[1:129] = 1 + _shift_pitch(np.arange(128), shift)
    elif channel.moves:  # pitch classes, once or once for each mode or quality
        classes, groups = np.arange(12), np.arange((channel.size - 1) // 12)
        values[1:] = (1 + (classes + shift) % 12 + 12 * groups[:, None]).ravel()
    return values


def _shift_pitch(pitch: NDArray[np.int_], shift: int) -> NDArray[np.int_]:
    moved = pitch + shift
    return np.where((moved >= 0) & (moved < 128), moved, pitch)

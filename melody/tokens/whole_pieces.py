"""Channels of a whole piece at once, for training: in C where the core is there, else in Python, with one result."""

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.native.library import core
from melody.tokens import aligned_memory, counterpoint, lines, repetition
from melody.tokens.aligned_memory import NAMES, part_sizes
from melody.tokens.native_reader import form_plan
from melody.tokens.plan import FormPlan

Ids = Sequence[int] | NDArray[np.integer]


def recalls(ids: Ids) -> NDArray[np.int16]:
    """The four channels (T, 4) of repetition after each of the ids (T,)."""
    tokens, result = np.require(ids, np.int32, ["C", "A"]), np.empty((len(ids), 4), np.int16)
    if (library := core()) is None or not library.recall_channels(tokens.ctypes.data, len(ids), result.ctypes.data):
        return repetition.recalls(ids)
    return result


def lines_of(ids: Ids) -> NDArray[np.int16]:
    """The three channels (T, 3) of lines after each of the ids (T,)."""
    if (library := core()) is None:
        return lines.lines_of(ids)
    tokens, result = np.require(ids, np.int32, ["C", "A"]), np.empty((len(ids), len(lines.NAMES)), np.int16)
    library.lines_channels(tokens.ctypes.data, len(ids), result.ctypes.data)
    return result


def counterpoint_of(ids: Ids, voices: int) -> NDArray[np.int16]:
    """The channels of counterpoint (T, voices) after each of the ids (T,)."""
    if (library := core()) is None:
        return counterpoint.counterpoint_of(ids, voices)
    tokens, result = np.require(ids, np.int32, ["C", "A"]), np.empty((len(ids), voices), np.int16)
    library.counterpoint_channels(tokens.ctypes.data, len(ids), voices, result.ctypes.data)
    return result


def remembered(ids: Ids, plan: FormPlan | None, voices: int = 0) -> NDArray[np.int16]:
    """The channels of aligned memory (T, `NAMES`, and those of so many voices) after each of the ids (T,)."""
    width = len(NAMES) + (len(part_sizes(voices)) if voices else 0)
    tokens, result = np.require(ids, np.int32, ["C", "A"]), np.empty((len(ids), width), np.int16)
    if (library := core()) is not None:
        native, _arrays = form_plan(plan)
        sizes = voices, tokens.ctypes.data, len(tokens), width, result.ctypes.data
        if library.memory_channels(ctypes.byref(native), *sizes):
            return result
    return aligned_memory.remembered(tokens.tolist(), plan, voices)

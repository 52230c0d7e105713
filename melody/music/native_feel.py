"""The strokes of `melody.music.feel`, drawn in C: a hit costs some 2 us."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MATRICES = ("of_heard", "second", "second_bias", "heads", "heads_bias")

Floats = NDArray[np.float32]


class _Player(ctypes.Structure):  # core/feel.c
    _fields_ = [(name, ctypes.c_void_p) for name in MATRICES]


class NativePlayer:
    """The matrices as the core has them, (inputs, outputs), by their names in `MATRICES`."""

    def __init__(self, library: ctypes.CDLL, matrices: Mapping[str, Floats]) -> None:
        self._library = library
        self._arrays = [np.ascontiguousarray(matrices[name], np.float32) for name in MATRICES]
        self._player = _Player(*(array.ctypes.data for array in self._arrays))

    def plays(
        self, known: Floats, onsets: Sequence[int], parts: Sequence[int], numbers: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Return deviations (N,) and classes of second strokes (N,) of hits in order.

        known (N, HIDDEN): of what stands before anything is played; numbers (N, 3) in [0, 1).
        """
        count = len(onsets)
        rows, places = np.unique(np.array(parts, np.int64), return_inverse=True)
        last, deviations, doubles = np.zeros(len(rows)), np.empty(count), np.empty(count, np.int32)
        arrays: list[NDArray[Any]] = [
            *(np.ascontiguousarray(known, np.float32), np.array(onsets, np.int64), places.astype(np.int32)),
            *(last, np.ascontiguousarray(numbers), deviations, doubles),
        ]
        self._library.feel_play(ctypes.byref(self._player), count, *(array.ctypes.data for array in arrays))
        return deviations, doubles

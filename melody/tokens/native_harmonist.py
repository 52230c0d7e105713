"""The chords of `melody.tokens.harmonist` drawn in C, where no notes are given that they should fit."""

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from melody.tokens.small_lstm import CoreLstm, SmallLstm

TO = ("to_root", "to_kind", "to_bass", "to_length")  # matrices (outputs, D) here, (inputs, outputs) in C
_NAMES = ("to_root", "to_root_bias", "of_root", "to_kind", "to_kind_bias", "of_kind", "to_bass", "to_bass_bias")
_LENGTHS = ("to_length", "to_length_bias")

Floats = NDArray[np.float32]
Table = NDArray[np.int32]


class _Harmonist(ctypes.Structure):  # core/harmonist.c
    _fields_ = [("lstm", CoreLstm), *((name, ctypes.c_void_p) for name in (*_NAMES, *_LENGTHS))]


class NativeHarmonist:
    """The weights as the core has them; `first` are the rows with which the tables of the LSTM begin."""

    def __init__(self, lstm: SmallLstm, weights: Mapping[str, Floats], first: Sequence[int]) -> None:
        self._lstm = lstm
        arrays = [weights[name].T if name in TO else weights[name] for name in (*_NAMES, *_LENGTHS)]
        self._arrays = [np.ascontiguousarray(array, np.float32) for array in arrays]
        self._item = _Harmonist(lstm.item, *(array.ctypes.data for array in self._arrays))
        self._first = np.array(first, np.int32)

    def draw(
        self,
        library: ctypes.CDLL,
        ground: NDArray[np.integer],
        asked: NDArray[np.integer],
        generator: np.random.Generator,
        temperature: float,
        plans: int = 1,
    ) -> Table:
        """Return root, kind and bass of each step, and whether the last note of a phrase begins in it (S, 4).

        Of so many plans it is the likeliest.

        ground (S, 7): rows of place, places, left and minor, the steps so many bars ago; asked (S, 8): a chord,
        whether it is known, an end is, ends are, the step whose chord it has too, whether the tonic may close.
        """
        (result, others), numbers = np.empty((2, len(ground), 4), np.int32), generator.bit_generator.ctypes
        tables = [np.require(table, np.int32, ["C", "A"]) for table in (ground, asked)]
        function = ctypes.cast(numbers.next_double, ctypes.c_void_p)
        own, first = ctypes.byref(self._item), self._first.ctypes.data
        drawn = function, numbers.state_address, result.ctypes.data, others.ctypes.data
        places = (table.ctypes.data for table in tables)
        library.harmonist_draw(own, first, len(ground), *places, temperature, plans, *drawn)
        return result

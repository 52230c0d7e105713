"""The LSTM of planner and harmonist: a sum of rows of a table goes in.

    x = sum of share * row;  h, c = LSTM(x, h, c);  y = h + x

In C a step takes some 5 us, in numpy 40 to 100: calls cost more than numbers.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.native.library import core

WIDTH = 96

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class CoreLstm(ctypes.Structure):  # core/small_lstm.h
    """Weights as the core has them; who makes it keeps the arrays."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("table", "weights", "bias")]


class SmallLstm:
    """Weights: a table (rows, D), those of x and of h (4 D, D), and a bias (4 D,)."""

    def __init__(self, table: Floats, weight_ih: Floats, weight_hh: Floats, bias: Floats) -> None:
        self.table, self.weight_ih, self.weight_hh = table, weight_ih, weight_hh
        joined = np.concatenate([weight_ih.T, weight_hh.T])  # (2 D, 4 D)
        self._arrays = [np.ascontiguousarray(array, np.float32) for array in (table, joined, bias)]
        self.bias = self._arrays[2]
        self.item = CoreLstm(*(array.ctypes.data for array in self._arrays))

    def begin(self) -> "LstmState":
        """Return the state before the first step."""
        return LstmState(self)


class LstmState:
    """The state of the LSTM on its way."""

    def __init__(self, lstm: SmallLstm) -> None:
        self._lstm, self._library = lstm, core()
        self._h, self._c, self._y = (np.zeros(WIDTH, np.float32) for _ in range(3))
        self._places = [array.ctypes.data for array in (self._h, self._c, self._y)]

    def next(self, rows: Sequence[int], shares: Sequence[float]) -> Floats:
        """Return y (D,) after a sum of rows, each with its share; the next step overwrites it."""
        if self._library is None:
            self._step(rows, shares)
            return self._y
        count = len(rows)
        terms = (ctypes.c_int32 * count)(*rows), (ctypes.c_float * count)(*shares)
        self._library.small_lstm_step(ctypes.byref(self._lstm.item), count, *terms, *self._places)
        return self._y

    def _step(self, rows: Sequence[int], shares: Sequence[float]) -> None:
        """Step in numpy."""
        own, h, c, y = self._lstm, self._h, self._c, self._y
        x = (own.table[list(rows)] * np.array(shares, np.float32)[:, None]).sum(axis=0)
        gates = (own.weight_ih @ x + own.weight_hh @ h + own.bias).reshape(4, WIDTH)
        i, f, _, o = sigmoid(gates)  # all at once
        c[:] = f * c + i * np.tanh(gates[2])
        h[:] = o * np.tanh(c)
        y[:] = h + x


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-np.minimum(np.maximum(x, -30), 30))), np.float32)  # a clip, quicker


def logsum(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The logarithm (N,) of what each row (N, K) weighs."""
    return np.asarray(np.logaddexp.reduce(logits, axis=1))


def log_softmax(logits: NDArray[Any]) -> Floats:
    """Log-probabilities of what logits say along the last axis."""
    top = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(axis=-1, keepdims=True)))


def pick(logits: NDArray[Any], generator: np.random.Generator | None) -> Ints:
    """A place in each row (N, K), by chance or the likeliest."""
    if generator is None:
        return np.asarray(logits.argmax(axis=1), np.int64)
    mass = np.cumsum(np.exp(logits - logits.max(axis=1, keepdims=True)), axis=1)
    drawn = generator.random((len(mass), 1)) * mass[:, -1:]
    return np.asarray(np.minimum((mass <= drawn).sum(axis=1), logits.shape[1] - 1), np.int64)

"""The encoder of an encoder-decoder, without torch: it reads once, before a piece, what is given of the whole of it.

    told (S, F)   -> x: the sum of a row of each column's table                    (S, 2 E)
    for each layer:  x = x + [LSTM from left to right, LSTM from right to left](x)
    the ends of x -> the decoder's carry at the start, h and c of each layer       (2 L D,)
    each x        -> what the decoder's step there adds to its embeddings          (S, D)

`melody.models.encoder_decoder` says what it is for. In C sums are taken in the order that is written there, so that
takes are the same on all processors; in numpy the last digits may differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.music.tensors import shortened, tensors_of
from melody.native.library import core
from melody.tokens.small_lstm import sigmoid

Floats = NDArray[np.float32]
MOST_UNITS, MOST_LAYERS, MOST_COLUMNS, MOST_WIDTH, MOST_STEPS = 256, 8, 64, 4096, 2**13  # units: core/encoder.h
DIRECTIONS = ("", "_reverse")


class Encoded(NamedTuple):
    """Knowledge of a piece that a decoder begins with."""

    carry: Floats  # (2 L D,): h and c of each layer
    beside: Floats  # (S, D)


class _Linear(NamedTuple):
    matrix: Floats  # (inputs, outputs)
    bias: Floats  # (outputs,)


@dataclass(frozen=True)
class Encoder:
    """The weights of an encoder by the names that the model has for them."""

    weights: Mapping[str, Floats]

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Encoder":
        """The encoder of arrays, in few bits or in floats. Raises `ValueError` for those of another model."""
        columns, layers = (len({n.split(".")[1] for n in arrays if n.startswith(f"{p}.")}) for p in ("told", "encoder"))
        rows = {name: array.shape[0] for name, array in arrays.items() if array.ndim}
        sizes = [rows.get(f"told.{column}.weight", 0) for column in range(columns)]
        outputs = [rows.get(f"{name}.weight", 0) for name in ("begin", "beside")]
        units = rows.get("encoder.0.bias_ih_l0", 0) // 4
        fits = 0 < units <= MOST_UNITS and 0 < layers <= MOST_LAYERS and 0 < columns <= MOST_COLUMNS
        if not fits or not 0 < outputs[1] <= MOST_WIDTH or not outputs[0] or outputs[0] % (2 * outputs[1]):
            raise ValueError("is no encoder that melody has, or is too large")
        shapes: dict[str, tuple[int, ...]] = {
            f"told.{column}.weight": (size, 2 * units) for column, size in enumerate(sizes)
        }
        for name in (f"encoder.{layer}.{{}}_l0{way}" for layer in range(layers) for way in DIRECTIONS):
            shapes |= {name.format("weight_ih"): (4 * units, 2 * units), name.format("weight_hh"): (4 * units, units)}
            shapes |= {name.format("bias_ih"): (4 * units,), name.format("bias_hh"): (4 * units,)}
        shapes |= {"begin.weight": (outputs[0], 2 * units), "begin.bias": (outputs[0],)}
        return cls(tensors_of("encoder", arrays, shapes | {"beside.weight": (outputs[1], 2 * units)}))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights as a file has them: large matrices in 8 bits, all else in 16."""
        return shortened(self.weights)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values that each column may tell."""
        return tuple(len(self.weights[name]) for name in self.weights if name.startswith("told."))

    @property
    def width(self) -> int:
        """D, the decoder's."""
        return len(self.weights["beside.weight"])

    @property
    def decoder_layers(self) -> int:
        """L."""
        return len(self.weights["begin.bias"]) // (2 * self.width)

    def encode(self, told: NDArray[np.integer]) -> Encoded:
        """Read what is told (S, F). Raises `ValueError` for values that no column has."""
        if told.shape[1:] != (len(self.sizes),) or (told < 0).any() or (told >= self.sizes).any():
            raise ValueError(f"is told numbers of shape {told.shape} that its {len(self.sizes)} columns do not have")
        tables = [self.weights[f"told.{column}.weight"] for column in range(len(self.sizes))]
        x = tables[0][told[:, 0]]  # (S, 2 E)
        for table, column in zip(tables[1:], told.T[1:], strict=True):
            x = x + table[column]
        for forth, back in self._layers:
            x = x + np.concatenate([_run(forth, x), _run(back, x[::-1])[::-1]], axis=1)
        half = x.shape[1] // 2
        ends = np.concatenate([x[-1:, :half], x[:1, half:]], axis=1)
        states = _affine(self._begin, ends).reshape(self.decoder_layers, 2, self.width)
        states[:, 0] = np.tanh(states[:, 0].astype(np.float64))
        return Encoded(states.ravel(), _affine(self._beside, x))

    @cached_property
    def _layers(self) -> list[list[_Linear]]:
        """Each layer's cells, one for each direction: [x, h] to gates."""
        count = sum(name.endswith("bias_ih_l0") for name in self.weights)
        return [[self._cell(f"encoder.{layer}.{{}}_l0{way}") for way in DIRECTIONS] for layer in range(count)]

    def _cell(self, name: str) -> _Linear:
        one = {part: self.weights[name.format(part)] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        both = np.concatenate([one["weight_ih"], one["weight_hh"]], axis=1)
        return _Linear(np.ascontiguousarray(both.T), one["bias_ih"] + one["bias_hh"])

    @cached_property
    def _begin(self) -> _Linear:
        return _Linear(np.ascontiguousarray(self.weights["begin.weight"].T), self.weights["begin.bias"])

    @cached_property
    def _beside(self) -> _Linear:
        return _Linear(np.ascontiguousarray(self.weights["beside.weight"].T), np.zeros(self.width, np.float32))


def _run(cell: _Linear, x: Floats) -> Floats:
    """An LSTM's states h (S, E) over x (S, I), in their order."""
    units = len(cell.bias) // 4
    x = np.ascontiguousarray(x)
    result = np.zeros((len(x), units), np.float32)
    if (library := core()) is not None:
        places = (array.ctypes.data for array in (x, cell.matrix, cell.bias, result))
        library.encoder_run(len(x), x.shape[1], units, *places)
        return result
    own = x @ cell.matrix[: x.shape[1]] + cell.bias  # (S, 4 E)
    h = c = np.zeros(units, np.float32)
    for row, step in zip(result, own, strict=True):
        gates = (step + h @ cell.matrix[x.shape[1] :]).reshape(4, units)
        i, f, _, o = sigmoid(gates)  # all at once
        c = f * c + i * np.tanh(gates[2])
        row[:] = h = o * np.tanh(c)
    return result


def _affine(linear: _Linear, x: Floats) -> Floats:
    """x W + b (S, outputs) of x (S, inputs)."""
    inputs, outputs = linear.matrix.shape
    if (library := core()) is None:
        return np.asarray(x @ linear.matrix + linear.bias, np.float32)
    x, result = np.ascontiguousarray(x), np.empty((len(x), outputs), np.float32)
    places = (array.ctypes.data for array in (x, linear.matrix, linear.bias, result))
    library.encoder_affine(len(x), inputs, outputs, *places)
    return result

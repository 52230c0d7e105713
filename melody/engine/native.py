"""The native engine: a bundle's step in C, with the weights of its step graph.

The same 8-bit weights and activations as in ONNX Runtime, by kernels for the processor at hand; their results are the
same bits on all processors, for a row alone and among others. Logits differ from ONNX Runtime's in the last digits.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Logits
from melody.engine.native_weights import CoreWeights, Linear, read_weights
from melody.engine.passages import STRETCH, Passage, Passages
from melody.engine.told import EngineEncoder, check_told
from melody.errors import MelodyError
from melody.native.library import core
from melody.tokens.channels import Layout
from melody.tokens.native_reader import NativeReader, reader_for
from melody.tokens.reader import Plan

TILE = 16  # core/kernels.h
_REASONS = {  # core/step.h, core/loop.c
    1: "a token or channel lies beyond its size",
    2: "the step graph gives no numbers; fetch or export the bundle again",
    11: "a token makes no sense where it stands",
}


class NativeEngine:
    """Steps a residual LSTM in C. The carry is one array (B, 2 L D): h and c of each layer.

    With an encoder each row goes on with the tick at which its bar begins and the value of its meter, and the carry
    with the table (B,) of what the encoder says of its piece.
    """

    kind = "native"

    def __init__(
        self,
        graph: bytes,
        name: str = "step graph",
        kernels: int = 0,
        layer_bits: Sequence[int] = (),
        start: NDArray[np.float32] | None = None,
        told: EngineEncoder | None = None,
    ) -> None:
        """`kernels` chooses among those that the processor can run, from 0, the fastest; `start` (2 L, D) is the
        carry at the beginning of a piece, in place of zeros; `told` is the model's encoder.

        Weights are kept in 8 bits, as they are; those of a layer of which `layer_bits` says so are rounded to 4, unless
        they are so already. Raises `ValueError` for a graph that the core does not serve.
        """
        library = core()
        if library is None:
            raise ValueError("the native core is not installed")
        self.name, self.core = name, library
        weights = read_weights(graph)
        self.shapes, self._told = weights.shapes, told
        check_told(self.shapes, told)
        if told is not None and np.diff(weights.first)[1 + told.view.columns[1]] > len(told.view.lengths):
            raise ValueError("has more meters than its encoder knows")
        self.model = _model(library, weights, kernels, layer_bits, told)
        self._close = finalize(self, library.model_free, self.model)
        self._width = next(iter(self.shapes.carry.values()))[0]
        self._carried = len(self.shapes.carry) * self._width + 2 * (told is not None)
        self._start = np.zeros(self._carried, np.float32) if start is None else start.reshape(-1)
        self.layers = len(weights.layers)
        self._passages = Passages()
        self._tables: tuple[NDArray[Any] | None, Any] = None, None  # those of the last step, and where they stand

    @property
    def kernels(self) -> str:
        """The instructions that it uses."""
        return str(self.core.model_kernels(self.model).decode())

    def start(self, batch: int) -> Carry:
        """The carry before the first token of a piece: zeros, unless an adapter begins otherwise."""
        if self._told is not None:
            return self.start_told(self._told.untold(batch))
        return (np.tile(self._start, (batch, 1)),)

    @property
    def steps(self) -> int:
        """Steps of a piece that its encoder reads; 0 for a model without one."""
        return 0 if self._told is None else self._told.steps

    def start_told(self, told: NDArray[np.integer]) -> Carry:
        """The carry before pieces of which this is given (B, steps, F), for a model with an encoder."""
        assert self._told is not None
        states, tables = self._told.start(told)
        return np.pad(states, ((0, 0), (0, 2))), tables

    def tables_of(self, carry: Carry) -> Any:
        """Pointers (B,) to the tables of a carry, as the core takes them; None for a model without an encoder.

        The carry must live as long as they are used.
        """
        if self._told is None:
            return None
        known, places = self._tables
        if known is not carry[1]:
            places = (ctypes.c_void_p * len(carry[1]))(*(table.ctypes.data for table in carry[1]))
            self._tables = carry[1], places
        return places

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry) -> tuple[Logits, Carry]:
        """See `melody.engine.Engine`."""
        rows = len(ids)
        tokens, channels = np.require(ids, np.int32, ["C", "A"]), np.require(context, np.int16, ["C", "A"])
        after = np.array(carry[0], np.float32, order="C")  # a copy, which is changed in place
        logits = np.empty((rows, -(-self.shapes.vocabulary // TILE) * TILE), np.float32)
        if channels.shape != (rows, self.shapes.channels) or after.shape != (rows, self._carried):
            raise MelodyError(f"{self.name}: a step of {channels.shape} channels and a carry of {after.shape}")
        inputs, outputs = ((a.ctypes.data for a in arrays) for arrays in ((tokens, channels), (after, logits)))
        self.check(self.core.model_step(self.model, rows, *inputs, self.tables_of(carry), *outputs))
        return logits[:, : self.shapes.vocabulary], (after, *carry[1:])

    def reader(self, layout: Layout, plan: Plan) -> NativeReader | None:
        """Return a reader in C for this model; None where the core does not know its tokens or channels."""
        reader = reader_for(layout, plan)
        fits = reader is not None and reader.sizes == (self.shapes.vocabulary, self.shapes.channels)
        return reader if fits else None

    def read(
        self, reader: NativeReader, ids: Sequence[int], carry: Carry
    ) -> tuple[NDArray[np.float32], Carry, Callable[[], float]]:
        """Let a reader and the model read tokens, at least one: logits (V,) of the next one, the carry (batch 1), and
        what says the nats of all tokens but the first, without the grammar: these take a third as long again.

        The model reads on from where its inputs differ from those of what it has read lately.
        """
        count, tokens = len(ids), np.array(ids, np.int32)
        try:
            contexts = reader.contexts(tokens)
        except ValueError as error:
            raise MelodyError(f"{self.name}: {error}") from None
        carries = np.empty((1 - -count // STRETCH, self._carried), np.float32)
        carries[0] = carry[0][0]
        beside = None if self._told is None else carry[1][0]
        passage = Passage(tokens, contexts, np.empty((count, self._width), np.float32), carries, beside)
        logits = np.empty(self.shapes.vocabulary, np.float32)
        known = self._passages.resume(passage)
        places = (array.ctypes.data for array in (carries, passage.states, logits))
        inputs = (array.ctypes.data for array in passage[:2])
        table = None if beside is None else beside.ctypes.data
        self.check(self.core.loop_read_on(self.model, *inputs, count, known, table, *places))
        self._passages.keep(passage)
        return logits, (carries[-1:].copy(), *carry[1:]), partial(self._nats, passage)

    def _nats(self, passage: Passage) -> float:
        nats, tokens = ctypes.c_double(0.0), passage.tokens
        places = (array.ctypes.data for array in (passage.states, passage.contexts))
        self.check(self.core.loop_nats(self.model, tokens.ctypes.data, len(tokens), *places, ctypes.byref(nats)))
        return nats.value

    def check(self, failed: int) -> None:
        """Raise `MelodyError` for what the core says of a failure."""
        if failed:
            raise MelodyError(f"{self.name}: {_REASONS.get(failed, 'fails')}")


def _model(
    library: ctypes.CDLL, weights: CoreWeights, kernels: int, layer_bits: Sequence[int], told: EngineEncoder | None
) -> int:
    """A model of the core with these weights, which it copies, and the places that its encoder reads."""
    whole, shapes = weights.table.whole, weights.shapes
    sizes = whole.shape[1], len(weights.layers), shapes.channels, shapes.vocabulary, len(whole)
    arrays = [np.require(array, requirements=["C", "A"]) for array in (whole, weights.table.places, weights.first)]
    model: int | None = library.model_new(kernels, *sizes, *(array.ctypes.data for array in arrays))
    if model is None:
        raise MemoryError
    bits = [*layer_bits, *[8] * len(weights.layers)]
    made = [_add(library, model, place, layer, bits[place]) for place, layer in enumerate(weights.layers)]
    made.append(_add(library, model, len(made), weights.head))
    if (head := weights.intervals) is not None:
        made.append(_add(library, model, len(made), head.linear))
        arrays = [np.require(array, requirements=["C", "A"]) for array in (head.columns, head.first, head.places)]
        numbers = len(head.columns), head.places.shape[1], head.first_pitch
        made.append(library.model_intervals(model, *numbers, *(a.ctypes.data for a in arrays), len(head.places)))
    if told is not None:
        view, (position, meter) = told.view, told.view.columns.tolist()
        lengths = np.ascontiguousarray(view.lengths, np.int32)
        columns = position, meter, len(lengths)
        made.append(library.model_places(model, told.steps, view.step, view.bar, *columns, lengths.ctypes.data))
    if not all(made):
        library.model_free(model)
        raise MemoryError
    return model


def _add(library: ctypes.CDLL, model: int, place: int, linear: Linear, bits: int = 8) -> bool:
    outputs, blocks, _ = linear.values.shape
    arrays = [np.require(array, requirements=["C", "A"]) for array in (linear.values, linear.scales, linear.bias)]
    return bool(library.model_matrix(model, place, outputs, blocks, bits, *(array.ctypes.data for array in arrays)))

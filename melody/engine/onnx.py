"""The default engine: a bundle's step graph in ONNX Runtime, with 8-bit weights and one thread.

One thread is fastest at batch 1, and its results do not depend on the machine's load or the batch. Inputs and outputs
keep their places in memory from step to step, which saves a tenth of its time; what goes in and out is copied.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import OrtValue

from melody.engine import Carry, Logits
from melody.engine.check.graph import BESIDE, StepShapes, check_step_graph
from melody.engine.told import EngineEncoder, check_told
from melody.errors import MelodyError, UnreadableFile

Floats = NDArray[np.float32]


class OnnxEngine:
    """Steps the graph ``step.onnx``: inputs ``ids``, ``context`` and one for each part of the carry, outputs alike.

    With an encoder there is an input ``beside`` too, and the carry goes on with where each row stands (B, 2) and the
    table (B,) of what the encoder says of its piece.
    """

    kind = "onnx"

    def __init__(
        self,
        graph: Path | bytes,
        threads: int = 1,
        name: str = "step graph",
        start: Floats | None = None,
        told: EngineEncoder | None = None,
    ) -> None:
        """`start` (2 L, D) is the carry at the beginning of a piece, in place of zeros; `told` the model's encoder."""
        self._start, self._told = start, told
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 4  # what it has to say comes as an exception too
        self._name, source = (name, graph) if isinstance(graph, bytes) else (str(graph), graph.read_bytes())
        try:
            self.shapes = check_step_graph(source)
            check_told(self.shapes, told)
            # without its fallback, which prints
            self._session = onnxruntime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            self._places = _Places(self._session, self.shapes, batch=1)
        except Exception as error:  # ONNX Runtime's own errors share no narrower base
            raise UnreadableFile(f"{self._name}: is not a step graph: {error}") from error
        self._lock = Lock()  # a step at a time

    def start(self, batch: int) -> Carry:
        """The carry before the first token of a piece: zeros, unless an adapter begins otherwise."""
        if self._told is not None:
            return self.start_told(self._told.untold(batch))
        if self._start is None:
            return _zeros(self.shapes, batch)
        return tuple(np.tile(part, (batch, 1)) for part in self._start)

    @property
    def steps(self) -> int:
        """Steps of a piece that its encoder reads; 0 for a model without one."""
        return 0 if self._told is None else self._told.steps

    def start_told(self, told: NDArray[np.integer]) -> Carry:
        """The carry before pieces of which this is given (B, steps, F), for a model with an encoder."""
        assert self._told is not None
        states, tables = self._told.start(told)
        where = np.zeros((len(states), 2), np.float32)
        return (*np.split(states, len(self.shapes.carry), axis=1), where, tables)

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry) -> tuple[Logits, Carry]:
        """See `melody.engine.Engine`."""
        if self._told is None:
            return self._stepped(ids, context, carry)
        *own, where, tables = carry
        seen, where = self._told.rows(ids, context, where, tables)
        logits, after = self._stepped(ids, context, tuple(own), seen)
        return logits, (*after, where, tables)

    def _stepped(
        self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry, seen: Sequence[Floats] = ()
    ) -> tuple[Logits, Carry]:
        """A step of the graph; an encoder says what is `seen` (D,) beside each row."""
        try:
            with self._lock:
                if len(ids) != len(self._places.ids):
                    self._places = _Places(self._session, self.shapes, len(ids))
                logits, after = self._places.step(ids, context, carry, seen)
        except Exception as error:
            raise MelodyError(f"{self._name}: the step graph fails: {error}") from error
        if not math.isfinite(np.vdot(logits, logits)):  # the weights are finite, but may be absurd
            raise MelodyError(f"{self._name}: the step graph gives no numbers; fetch or export the bundle again")
        return logits, after


class _Places:
    """The arrays that a session reads and writes in a step of so many rows."""

    def __init__(self, session: onnxruntime.InferenceSession, shapes: StepShapes, batch: int) -> None:
        self.ids = np.zeros(batch, np.int64)
        self.context = np.zeros((batch, shapes.channels), np.int64)
        self.carry, self.after = _zeros(shapes, batch), _zeros(shapes, batch)
        self.logits = np.zeros((batch, shapes.vocabulary), np.float32)
        self.beside = np.zeros((batch, shapes.beside), np.float32)
        self._session, self._binding = session, session.io_binding()
        inputs = {"ids": self.ids, "context": self.context} | dict(zip(shapes.carry, self.carry, strict=True))
        inputs |= {BESIDE: self.beside} if shapes.beside else {}
        outputs = {"logits": self.logits} | {
            f"{n}_next": part for n, part in zip(shapes.carry, self.after, strict=True)
        }
        for name, array in inputs.items():
            self._binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name, array in outputs.items():
            self._binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(array))

    def step(
        self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry, seen: Sequence[Floats]
    ) -> tuple[Logits, Carry]:
        """See `OnnxEngine.step`; an encoder says what is `seen` (D,) beside each row."""
        for row, one in enumerate(seen):
            self.beside[row] = one
        self.ids[:] = ids
        self.context[:] = context
        for place, part in zip(self.carry, carry, strict=True):
            place[:] = part
        self._session.run_with_iobinding(self._binding)
        return self.logits.copy(), tuple(part.copy() for part in self.after)


def _zeros(shapes: StepShapes, batch: int) -> tuple[Floats, ...]:
    return tuple(np.zeros((batch, *shape), np.float32) for shape in shapes.carry.values())

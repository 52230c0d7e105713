"""The default engine: a bundle's step graph in ONNX Runtime, with 8-bit weights and one thread.

One thread is fastest at batch 1, and its results do not depend on the machine's load or the batch.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from melody.engine import Carry, Logits
from melody.errors import UnreadableFile


class OnnxEngine:
    """Steps the graph ``step.onnx``: inputs ``ids``, ``context`` and one for each part of the carry, outputs alike."""

    def __init__(self, graph: Path | bytes, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        name, source = ("step graph", graph) if isinstance(graph, bytes) else (str(graph), graph.read_bytes())
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own errors share no narrower base
            raise UnreadableFile(f"{name}: is not a step graph: {error}") from error
        inputs = self._session.get_inputs()
        self._carry_names = [part.name for part in inputs[2:]]
        self._carry_shapes = [(part.shape[1:], _DTYPES[part.type]) for part in inputs[2:]]
        self._outputs = ["logits", *(f"{name}_next" for name in self._carry_names)]

    def initial_carry(self, batch: int) -> Carry:
        """Zeros: the carry before the first token of a piece."""
        return tuple(np.zeros((batch, *shape), dtype) for shape, dtype in self._carry_shapes)

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry) -> tuple[Logits, Carry]:
        """See `melody.engine.Engine`."""
        feeds = dict(zip(self._carry_names, carry, strict=True))
        feeds["ids"] = ids.astype(np.int64, copy=False)
        feeds["context"] = context.astype(np.int64, copy=False)
        logits, *after = self._session.run(self._outputs, feeds)
        return logits, tuple(after)


_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}

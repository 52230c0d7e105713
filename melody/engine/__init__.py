"""One step of a model: `step(ids (B,), context (B, C), carry) -> (logits (B, V), carry)`, all numpy.

Two engines: `onnx` runs a bundle's step graph and never imports torch (the default); `torch` steps the model that was
trained (the reference, and for models without a step graph). A row's result does not depend on the other rows. The
carry is a tuple of arrays whose first dimension is the batch, so that `reorder` serves takes, beams and every model.
"""

import logging
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError, UnreadableFile, UsageError

if TYPE_CHECKING:
    from melody.bundle import Bundle

Carry = tuple[NDArray[np.generic], ...]
Logits = NDArray[np.float32]
log = logging.getLogger(__name__)


class Engine(Protocol):
    """A model as generation uses it."""

    def start(self, batch: int) -> Carry:
        """Return the carry before the first token of a piece."""

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry) -> tuple[Logits, Carry]:
        """Read one token a row: ids (B,), context (B, C); give logits (B, V) of the next and the new carry."""


def reorder(carry: Carry, rows: NDArray[np.integer]) -> Carry:
    """The carry whose row i is the old row `rows[i]`."""
    return tuple(part[rows] for part in carry)


def open_engine(bundle: "Bundle", kind: str = "onnx", threads: int = 1) -> Engine:
    """Return the engine of a bundle, by name: ``onnx`` or ``torch``.

    A bundle without a step graph gets the torch engine, and a line of the log says so. Raises `MelodyError` where torch
    is not installed.
    """
    if kind == "onnx" and not bundle.has_step_graph:
        log.warning("%s has no step graph; it composes by the torch engine, which is slower", bundle.name)
        kind = "torch"
    if kind == "onnx":
        from melody.engine.onnx import OnnxEngine

        engine = OnnxEngine(bundle.read("step.onnx"), threads=threads, name=str(bundle.folder / "step.onnx"))
        tokens, channels = len(bundle.tokenizer.vocabulary), len(bundle.channels)
        if (engine.shapes.vocabulary, engine.shapes.channels) != (tokens, channels):
            raise UnreadableFile(f"{bundle.folder / 'step.onnx'}: is a model of other tokens; export its run again")
        return engine
    if kind == "torch":
        try:
            from melody.engine.torch import TorchEngine
        except ImportError as error:
            raise MelodyError(
                f"{bundle.name}: the torch engine needs {error.name}: pip install 'melody[train]'"
            ) from error
        return TorchEngine(bundle)
    raise UsageError(f"engine {kind!r} is unknown; choose onnx or torch")

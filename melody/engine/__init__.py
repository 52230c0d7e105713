"""One step of a model: `step(ids (B,), context (B, C), carry) -> (logits (B, V), carry)`, all numpy.

Three engines: `native` steps the recurrent models in C, where melody was installed with a compiler (the default);
`onnx` runs a bundle's step graph in ONNX Runtime; `torch` steps the model that was trained (the reference, and for
models without a step graph). A row's result does not depend on the other rows. The
carry is a tuple of arrays whose first dimension is the batch, so that `reorder` serves takes, beams and every model; a
row may be an object that nobody changes (`melody.engine.told`).
"""

import logging
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError, UnreadableFile, UsageError

if TYPE_CHECKING:
    from melody.bundle import Bundle
    from melody.engine.native import NativeEngine
    from melody.engine.onnx import OnnxEngine
    from melody.engine.told import EngineEncoder
    from melody.engine.torch import TorchEngine

Carry = tuple[NDArray[np.generic], ...]
Logits = NDArray[np.float32]
AUTO = "auto"
ENGINES = (AUTO, "native", "onnx", "torch")
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


def open_engine(bundle: "Bundle", kind: str = AUTO, threads: int = 1) -> Engine:
    """Return the engine of a bundle by name; ``auto`` is the fastest that serves it.

    A bundle without a step graph gets the torch engine, and a line of the log says so. Raises `MelodyError` where torch
    is not installed, or an engine that is asked for cannot be had.
    """
    if kind not in ENGINES:
        raise UsageError(f"engine {kind!r} is unknown; choose {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
    if kind != "torch" and not bundle.has_step_graph:
        log.warning("%s has no step graph; it composes by the torch engine, which is slower", bundle.name)
        kind = "torch"
    if kind == "torch":
        return _torch_engine(bundle)
    native = _native_engine(bundle) if kind in (AUTO, "native") else "is not asked for"
    if kind == "native" and isinstance(native, str):
        raise MelodyError(f"{bundle.name}: the native engine {native}; choose the engine onnx")
    engine = _onnx_engine(bundle, threads) if isinstance(native, str) else native
    tokens, channels = len(bundle.tokenizer.vocabulary), len(bundle.channels)
    if (engine.shapes.vocabulary, engine.shapes.channels) != (tokens, channels):
        raise UnreadableFile(f"{bundle.folder / 'step.onnx'}: is a model of other tokens; export its run again")
    return engine


def engine_for(bundle: "Bundle") -> tuple[str, str]:
    """Return the engine that ``auto`` takes, and why it is not the native one, if it is not. Raises `MelodyError`."""
    if not bundle.has_step_graph:
        return "torch", "has no step graph; it composes by the torch engine, which is slower"
    native = _native_engine(bundle)
    return (
        ("onnx", f"composes by ONNX Runtime: the native engine {native}") if isinstance(native, str) else ("native", "")
    )


def engine_of(graph: bytes, name: str, told: "EngineEncoder | None" = None) -> Engine:
    """Return the engine of a step graph that is no file, and its encoder, if it has one.

    It is the native one, or ONNX Runtime's where that cannot serve.
    """
    from melody.native.library import opened

    if opened()[0] is not None:
        from melody.engine.native import NativeEngine

        try:
            return NativeEngine(graph, name=name, told=told)
        except ValueError as error:
            log.debug("%s: %s", name, error)
    from melody.engine.onnx import OnnxEngine

    return OnnxEngine(graph, name=name, told=told)


def _native_engine(bundle: "Bundle") -> "NativeEngine | str":
    """The native engine, or why it does not serve."""
    from melody.engine.adapted import step_graph_of
    from melody.engine.native import NativeEngine
    from melody.engine.told import told_by
    from melody.native.library import opened

    if opened()[0] is None:
        return f"is not here: {opened()[1]}"
    try:
        name, bits = str(bundle.folder / "step.onnx"), bundle.layer_bits
        graph, start = step_graph_of(bundle), _start_of(bundle)
        return NativeEngine(graph, name, layer_bits=bits, start=start, told=told_by(bundle))
    except ValueError as error:
        return f"does not serve it: its step graph {error}"


def _onnx_engine(bundle: "Bundle", threads: int) -> "OnnxEngine":
    from melody.engine.adapted import step_graph_of
    from melody.engine.onnx import OnnxEngine
    from melody.engine.told import told_by

    name = str(bundle.folder / "step.onnx")
    graph, start = step_graph_of(bundle), _start_of(bundle)
    return OnnxEngine(graph, threads=threads, name=name, start=start, told=told_by(bundle))


def _start_of(bundle: "Bundle") -> NDArray[np.float32] | None:
    return bundle.adapter.start if bundle.adapter is not None else None


def _torch_engine(bundle: "Bundle") -> "TorchEngine":
    try:
        from melody.engine.torch import TorchEngine
    except ImportError as error:
        raise MelodyError(f"{bundle.name}: the torch engine needs {error.name}: pip install 'melody[train]'") from error
    return TorchEngine(bundle)

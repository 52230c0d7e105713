"""The beginning of a piece for a model with an encoder, which has read once what is given of it.

An encoder gives the decoder's carry at the start and a table, whose row for the place of a token is added to its
embeddings. The table goes with the carry, a row an object that nobody changes: so it is reordered and kept as the rest
is, and a step copies none of it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.engine import Carry, Engine
from melody.engine.check.graph import StepShapes
from melody.errors import UnreadableFile
from melody.tokens.encoder import MOST_STEPS, Encoded, Encoder
from melody.tokens.given import GivenView, given_names, given_rows, given_view
from melody.tokens.native_reader import NativeReader

Floats = NDArray[np.float32]
Tables = NDArray[np.object_]  # (B,) of (S, D) each
KEPT = 8  # pieces of which is known what was read


@runtime_checkable
class ToldEngine(Protocol):
    """An engine of a model that may have an encoder."""

    @property
    def steps(self) -> int:
        """Steps of a piece that its encoder reads; 0: it has none."""

    def start_told(self, told: NDArray[np.integer]) -> Carry:
        """Return the carry before pieces of which this (B, steps, F) is given."""


def is_told(engine: Engine) -> TypeGuard[ToldEngine]:
    """Return True for the engine of a model with an encoder."""
    return isinstance(engine, ToldEngine) and engine.steps > 0


def start_for(engine: Engine, readers: Sequence[Any]) -> Carry:
    """The carry before the pieces of these readers, in Python or in C, whose plans say what is given."""
    if not is_told(engine):
        return engine.start(len(readers))
    return engine.start_told(np.stack([_told_to(reader, engine.steps) for reader in readers]))


def _told_to(reader: Any, steps: int) -> NDArray[np.int64]:
    """The grid (steps, F) of what a reader's plan says is given."""
    if isinstance(reader, NativeReader):
        table, layout = reader.outset.foreseen, reader.outset.layout
    else:
        foreseen, layout = reader.plan.foreseen, reader.columns.layout
        table = None if foreseen is None else foreseen.values
    return given_rows(table, layout.voices, given_names(layout.channels), steps)


class EngineEncoder:
    """An encoder as an engine has it, and the places at which tokens stand. Threads may share it."""

    def __init__(self, encoder: Encoder, view: GivenView, steps: int) -> None:
        """`steps` of a piece are read. Raises `ValueError` for an encoder of other columns than the view's."""
        if encoder.sizes != tuple(view.sizes):
            raise ValueError("has an encoder of other channels than those that tell what is given")
        self.encoder, self.view, self.steps = encoder, view, steps
        self._columns, self._lengths = view.columns.tolist(), view.lengths.tolist()
        self._encoded = lru_cache(KEPT)(self._encode)

    def start(self, told: NDArray[np.integer]) -> tuple[Floats, Tables]:
        """The carry (B, 2 L D) before pieces of which this (B, steps, F) is given, and the table beside each."""
        rows = [self._encoded(np.ascontiguousarray(row, np.int16).tobytes()) for row in told]
        tables: Tables = np.empty(len(rows), object)
        for place, row in enumerate(rows):
            tables[place] = row.beside
        return np.stack([row.carry for row in rows]), tables

    def untold(self, batch: int) -> NDArray[np.int16]:
        """Grid (B, steps, F) of pieces of which nothing is given."""
        return np.zeros((batch, self.steps, len(self.view.sizes)), np.int16)

    def _encode(self, told: bytes) -> Encoded:
        encoded = self.encoder.encode(np.frombuffer(told, np.int16).reshape(self.steps, -1))
        encoded.beside.setflags(write=False)
        return encoded

    def rows(
        self, ids: NDArray[np.integer], context: NDArray[np.integer], where: NDArray[Any], tables: NDArray[Any]
    ) -> tuple[list[Floats], Floats]:
        """Rows of the tables (D,) beside each of the tokens (B,), and where these stand.

        That is the tick (B, 2) at which the bar begins and the value of its meter: zeros before a piece.
        """
        most, last, step = self.steps * self.view.step, self.steps - 1, self.view.step
        seen, stand = [], []
        places, meters = (context[:, column].tolist() for column in self._columns)
        rows = zip(ids.tolist(), places, meters, where.tolist(), tables.tolist(), strict=True)
        for token, position, meter, (start, before), table in rows:
            begins = min(most, start + (self._lengths[int(before)] if token == self.view.bar else 0))
            stand.append((begins, meter))
            seen.append(table[min(int(begins + max(0, position - 1)) // step, last)])
        return seen, np.array(stand, np.float32)


def check_told(shapes: StepShapes, told: EngineEncoder | None) -> None:
    """Raise `ValueError` where a step graph and an encoder are not of one model."""
    if told is None:
        fits = not shapes.beside
    else:
        width = told.encoder.width
        carried = [(width,)] * (2 * told.encoder.decoder_layers)
        fits = shapes.beside == width and list(shapes.carry.values()) == carried
        fits &= int(told.view.columns.max()) < shapes.channels
    if not fits:
        raise ValueError("and the encoder are not of one model")


def told_by(bundle: Bundle, encoder: Encoder | None = None) -> EngineEncoder | None:
    """The encoder of a bundle's model, or another one in its place; None where it has none.

    Raises `UnreadableFile` for that of another model.
    """
    encoder, steps = encoder or bundle.encoder, bundle.settings["model"].get("steps")
    if encoder is None:
        return None
    if not isinstance(steps, int) or not 0 < steps <= MOST_STEPS:
        raise UnreadableFile(f"{bundle.folder}: its model says of {steps} steps that an encoder reads them")
    try:
        return EngineEncoder(encoder, given_view(bundle.tokenizer.vocabulary, bundle.tokenizer.channels), steps)
    except ValueError as error:
        raise UnreadableFile(f"{bundle.folder}: {error}; fetch or export the bundle again") from error

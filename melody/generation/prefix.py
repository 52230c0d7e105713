"""Prefixes: the music that the model has read before it composes, and the bar line from which takes differ.

Where the native engine reads, it reads in C; the reader in Python, which rules and options may ask for, then reads on
demand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Engine, reorder
from melody.engine.native import NativeEngine
from melody.engine.told import start_for
from melody.tokens import Reader
from melody.tokens.harmony import DrawChords, Told
from melody.tokens.native_reader import NativeReader
from melody.tokens.plan import FormPlan

_BLOCK = 256  # tokens of a prefix whose logits are at hand together


class Prefix:
    """State after reading: the reader, the engine's carry (batch 1), and the logits (V,) of the next token."""

    def __init__(
        self,
        reader: Reader | Callable[[], Reader],
        carry: Carry,
        logits: NDArray[np.float32],
        nats: float | Callable[[], float] = 0.0,
        native: NativeReader | None = None,
    ) -> None:
        """`nats` are those of what was read, after the first token, without the grammar; they and a reader may come
        later.
        """
        self.carry, self.logits, self.native = carry, logits, native
        self._reader, self._nats = reader, nats

    @cached_property
    def nats(self) -> float:
        """Nats that it cost the model to read this."""
        return self._nats() if callable(self._nats) else self._nats

    @cached_property
    def reader(self) -> Reader:
        """The reader in Python."""
        return self._reader() if callable(self._reader) else self._reader

    def read_by(self, reader: Reader) -> "Prefix":
        """Return the same place with another reader, of whose knowledge the core has none."""
        return Prefix(reader, self.carry, self.logits, lambda: self.nats)


class TakePlan(NamedTuple):
    """Plans that were drawn for a take: of its bars, and of its chords as `Plan` has them."""

    form: FormPlan | None = None
    harmony: Told | None = None
    harmonist: DrawChords | None = None


@dataclass(frozen=True)
class Opening:
    """The last bar line read, and what stands behind it: it is read again under the plan of each take."""

    engine: Engine
    before: Prefix  # that bar line
    ids: list[int]  # from the bar line on

    def under(self, plans: Sequence[TakePlan]) -> list[Prefix]:
        """Return the prefix under each of these plans."""
        natives = [self.before.native.copy() for _ in plans] if self.before.native is not None else []
        readers: Sequence[Reader | NativeReader] = natives or [self.before.reader.copy() for _ in plans]
        for reader, plan in zip(readers, plans, strict=True):
            reader.replan(*plan)
        carry = reorder(self.before.carry, np.zeros(len(plans), np.int64))
        for token in self.ids:
            for reader in readers:
                reader.read(token)
            contexts = np.array([reader.context for reader in readers])
            logits, carry = self.engine.step(np.full(len(plans), token), contexts, carry)
        return [
            Prefix(
                self._again(plan, readers[row]),
                reorder(carry, np.array([row])),
                logits[row].copy(),
                lambda: self.before.nats,
                natives[row] if natives else None,
            )
            for row, plan in enumerate(plans)
        ]

    def _again(self, plan: TakePlan, read_by: Reader | NativeReader) -> Reader | Callable[[], Reader]:
        """The reader in Python under a plan: the one that has read, or on demand."""

        def read() -> Reader:
            own = self.before.reader.copy()
            own.replan(*plan)
            return own.read_all(self.ids)

        return read if isinstance(read_by, NativeReader) else read_by


def read_opening(engine: Engine, reader: Reader, ids: Sequence[int]) -> Opening:
    """Let a fresh reader and the engine read `ids` up to the last bar line."""
    last = max(place for place, token in enumerate(ids) if token == reader.ids["Bar"][0])
    return Opening(engine, read_prefix(engine, reader, ids[:last]), list(ids[last:]))


def read_prefix(engine: Engine, reader: Reader, ids: Sequence[int]) -> Prefix:
    """Let a fresh reader and the engine read `ids` (at least BOS)."""
    carry = start_for(engine, [reader])
    if isinstance(engine, NativeEngine) and (native := engine.reader(reader.columns.layout, reader.plan)) is not None:
        logits, after, cost = engine.read(native, ids, carry)
        return Prefix(lambda: reader.read_all(ids), after, logits, cost, native)
    nats = 0.0
    for start in range(0, len(ids), _BLOCK):
        block = []
        for token in ids[start : start + _BLOCK]:
            reader.read(int(token))
            logits, carry = engine.step(np.array([token]), reader.context[None], carry)
            block.append(logits[0].copy())
        nats += _nats(np.stack(block), ids[start + 1 : start + 1 + len(block)])
    return Prefix(reader, carry, block[-1], nats)


def _nats(logits: NDArray[np.float32], targets: Sequence[int]) -> float:
    """-ln p of the targets (N,) under the first N rows of logits (M, V), all at once: that costs next to nothing."""
    rows = logits[: len(targets)]
    top = rows.max(axis=1)
    chosen = rows[np.arange(len(rows)), targets]
    return float((np.log(np.exp(rows - top[:, None]).sum(axis=1)) + top - chosen).sum())

"""Prefixes: the music that the model has read before it composes, and the bar line from which takes differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Engine, reorder
from melody.tokens import Reader
from melody.tokens.plan import FormPlan

_BLOCK = 256  # tokens of a prefix whose logits are at hand together


@dataclass
class Prefix:
    """State after reading: the reader, the engine's carry (batch 1), and the logits (V,) of the next token."""

    reader: Reader
    carry: Carry
    logits: NDArray[np.float32]
    nats: float = 0.0  # of what was read, after the first token, without the grammar


@dataclass(frozen=True)
class Opening:
    """The last bar line read, and what stands behind it: it is read again under the plan of each take."""

    engine: Engine
    reader: Reader  # before that bar line
    carry: Carry  # of batch 1
    ids: list[int]  # from the bar line on
    nats: float

    def under(self, plans: Sequence[FormPlan]) -> list[Prefix]:
        """Return the prefix under each of these plans."""
        readers = [self.reader.copy() for _ in plans]
        for reader, plan in zip(readers, plans, strict=True):
            reader.replan(plan)
        carry = reorder(self.carry, np.zeros(len(plans), np.int64))
        for token in self.ids:
            for reader in readers:
                reader.read(token)
            contexts = np.array([reader.context for reader in readers])
            logits, carry = self.engine.step(np.full(len(plans), token), contexts, carry)
        rows = [reorder(carry, np.array([row])) for row in range(len(plans))]
        return [
            Prefix(reader, own, one.copy(), self.nats) for reader, own, one in zip(readers, rows, logits, strict=True)
        ]


def read_opening(engine: Engine, reader: Reader, ids: Sequence[int]) -> Opening:
    """Let a fresh reader and the engine read `ids` up to the last bar line."""
    last = max(place for place, token in enumerate(ids) if token == reader.ids["Bar"][0])
    before = read_prefix(engine, reader, ids[:last])
    return Opening(engine, before.reader, before.carry, list(ids[last:]), before.nats)


def read_prefix(engine: Engine, reader: Reader, ids: Sequence[int]) -> Prefix:
    """Let a fresh reader and the engine read `ids` (at least BOS)."""
    carry = engine.start(1)
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

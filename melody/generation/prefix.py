"""What the model has read before it composes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Engine
from melody.tokens import Reader

_BLOCK = 256  # tokens of a prefix whose logits are at hand together


@dataclass
class Prefix:
    """What has been read so far: the reader, the engine's carry (batch 1), and the logits (V,) of the next token."""

    reader: Reader
    carry: Carry
    logits: NDArray[np.float32]
    nats: float = 0.0  # of what was read, after the first token, without the grammar


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

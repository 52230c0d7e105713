"""Nats of pieces under a model: what each token costs, given those before it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.engine import Engine
from melody.engine.told import start_for
from melody.tokens.contract import TokenReader


def nats_read_by(
    pieces: Sequence[NDArray[np.integer]],
    readers: Sequence[TokenReader],
    engine: Engine,
    temperatures: Sequence[float] = (1.0,),
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each piece the nats (K, T - 1) of its tokens after BOS, within what may follow and without that mask.

    Each piece has a fresh reader of its own; K temperatures divide the logits.
    """
    result = [tuple(np.zeros((2, len(temperatures), len(ids) - 1))) for ids in pieces]
    scale = 1 / np.array(temperatures)[:, None]
    carry = start_for(engine, readers)
    for time in range(max(len(ids) for ids in pieces) - 1):
        going = [row for row, ids in enumerate(pieces) if time + 1 < len(ids)]
        for row in going:
            readers[row].read(int(pieces[row][time]))
        tokens = np.array([ids[min(time, len(ids) - 1)] for ids in pieces])
        logits, carry = engine.step(tokens, np.stack([np.asarray(reader.context) for reader in readers]), carry)
        for row in going:
            target = int(pieces[row][time + 1])
            above = (logits[row].astype(np.float64) - logits[row][target]) * scale  # (K, V)
            result[row][0][:, time] = np.logaddexp.reduce(above[:, readers[row].allow()], axis=1)
            result[row][1][:, time] = np.logaddexp.reduce(above, axis=1)
    return [(within, without) for within, without in result]

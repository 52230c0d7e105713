"""Several models of the same tokens as one engine: their probabilities are averaged at each token."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.engine import Carry, Engine, Logits


class Ensemble:
    """See `melody.engine.Engine`. Its carry is those of its members, one after the other."""

    def __init__(self, members: Sequence[Engine]) -> None:
        self._members = list(members)
        self._sizes = [len(member.start(1)) for member in members]

    def start(self, batch: int) -> Carry:
        """The carry before the first token of a piece."""
        return tuple(part for member in self._members for part in member.start(batch))

    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry) -> tuple[Logits, Carry]:
        """See `melody.engine.Engine`; the logits are the logarithm of the mean probability."""
        logs: list[Logits] = []
        after: list[NDArray[np.generic]] = []
        start = 0
        for member, size in zip(self._members, self._sizes, strict=True):
            logits, own = member.step(ids, context, carry[start : start + size])
            logs.append(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))  # (B, V)
            after += own
            start += size
        mean: Logits = np.logaddexp.reduce(logs, axis=0) - np.float32(np.log(len(logs)))
        return mean, tuple(after)

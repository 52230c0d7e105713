"""Passages: what an engine has read lately, so that it does not read the same beginning twice.

What a model knows at some place of a piece follows from its inputs up to there, the tokens and their channels, and from
nothing else. So a piece is read on from where its inputs first differ from those of one that was read before: a call
that grows while it is played, the same music composed on once more, under other settings too.

    read before   ################|################|########.
    now           ################|#########x......            the second stretch is read anew, and what follows
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRETCH = 16  # tokens from one carry that is kept to the next; core/step.h
MOST_KEPT = 4
MOST_TOKENS = 16_384  # of all that are kept: some 30 MB


class Passage(NamedTuple):
    """Inputs of a model (T tokens of a piece), and what came of them."""

    tokens: NDArray[np.int32]  # (T,)
    contexts: NDArray[np.int16]  # (T, C): the channels beside each
    states: NDArray[np.float32]  # (T, D): behind each, after the last layer
    carries: NDArray[np.float32]  # (1 + stretches, 2 L D): before each stretch, and behind all
    beside: NDArray[np.float32] | None = None  # (S, D): what an encoder says of the piece

    def shared(self, other: "Passage") -> int:
        """Return how many tokens, whole stretches, both have in common from the beginning on, with all inputs."""
        count = min(len(self.tokens), len(other.tokens))
        if not np.array_equal(self.carries[0], other.carries[0]):
            return 0
        if self.beside is not other.beside:  # an encoder keeps what it has read; so the same is told
            return 0
        same = self.tokens[:count] == other.tokens[:count]
        same &= (self.contexts[:count] == other.contexts[:count]).all(axis=1)
        return (count if same.all() else int(same.argmin())) // STRETCH * STRETCH


class Passages:
    """The last passages of an engine. Threads may share it: what is kept is never changed."""

    def __init__(self) -> None:
        self._kept: tuple[Passage, ...] = ()

    def resume(self, passage: Passage) -> int:
        """Copy to a passage whose inputs are there what is known of its beginning; return for how many tokens."""
        shares = [(passage.shared(kept), kept) for kept in self._kept]
        known, kept = max(shares, key=lambda share: share[0], default=(0, passage))
        passage.states[:known] = kept.states[:known]
        passage.carries[1 : 1 + known // STRETCH] = kept.carries[1 : 1 + known // STRETCH]
        return known

    def keep(self, passage: Passage) -> None:
        """Keep a passage that is complete; older ones are forgotten where there are too many, or too long ones."""
        self._kept = tuple(_bounded((passage, *self._kept)))


def _bounded(passages: Iterable[Passage]) -> Iterable[Passage]:
    room = MOST_TOKENS
    for number, passage in enumerate(passages):
        room -= len(passage.tokens)
        if number == MOST_KEPT or room < 0:
            return
        yield passage

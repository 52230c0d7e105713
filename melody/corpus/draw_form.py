"""The plan that training tells of a piece, drawn anew each time that it is fetched.

The plan that a piece has is told truly, but not always: a model learns to compose without one, with one that is known
up to some bar, and for bars that more than one lag explains. Now and then a piece has no memory at all, or first bars,
where there is none, would be learned from first bars alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from melody.corpus.store import Split
from melody.tokens.plan import FormPlan, Found, plan_of_piece

HIDDEN, CUT = 0.2, 0.15  # of all pieces: told no plan, or the plan up to some bar
RETOLD = 0.1  # of all bars: told by another lag
FORGOTTEN = 0.2  # of all pieces: told nothing of their past


class FormTold(NamedTuple):
    """The plan that is told, and whether the past is not."""

    plan: FormPlan | None
    forgotten: bool = False


FormTeller = Callable[[int, np.random.Generator], FormTold]  # of a piece


class Plans:
    """The plans of the pieces of a split, each found when it is first asked for."""

    def __init__(self, split: Split) -> None:
        self._split = split
        self._found: dict[int, Found] = {}

    def found(self, piece: int) -> Found:
        """The plan of a piece and what it rests on."""
        if piece not in self._found:
            self._found[piece] = plan_of_piece(self._split.piece(piece)[0].tolist())
        return self._found[piece]

    def drawn(self, piece: int, generator: np.random.Generator) -> FormTold:
        """A piece as training tells it."""
        plan = self.found(piece).told(generator, HIDDEN, CUT, RETOLD)
        return FormTold(plan, bool(generator.random() < FORGOTTEN))

    def whole(self, piece: int, generator: np.random.Generator) -> FormTold:
        """A piece with all of its plan, to measure what it is worth."""
        return FormTold(self.found(piece).plan)

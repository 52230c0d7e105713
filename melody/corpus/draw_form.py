"""The plan that training tells of a piece, drawn anew each time that it is fetched.

The plan that a piece has is told truly, but not always: a model learns to compose without one, with one that is known
up to some bar, and for bars that more than one lag explains. Now and then a piece has no memory at all, or first bars,
where there is none, would be learned from first bars alone. Where each track has its own plan, some tracks are told and
others are not, and tracks that are left out this time are planned to be silent.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.store import Split
from melody.tokens.plan import FormPlan, tracks_with_notes
from melody.tokens.plan_finding import Found, plan_of_piece

HIDDEN, CUT = 0.2, 0.15  # of all pieces: told no plan, or the plan up to some bar
RETOLD = 0.1  # of all bars: told by another lag
FORGOTTEN = 0.2  # of all pieces: told nothing of their past


class FormTold(NamedTuple):
    """The plan that is told, and whether the past is not."""

    plan: FormPlan | None
    forgotten: bool = False


# Of a piece, the ids as which it is read this time (None: as they are stored).
FormTeller = Callable[[int, np.random.Generator, NDArray[np.integer] | None], FormTold]


class Plans:
    """The plans of the pieces of a split, or of their tracks `apart`, each found when it is first asked for."""

    def __init__(self, split: Split, apart: bool = False) -> None:
        self._split, self._apart = split, apart
        self._found: dict[int, Found] = {}

    def found(self, piece: int) -> Found:
        """The plan of a piece and what it rests on."""
        if piece not in self._found:
            self._found[piece] = plan_of_piece(self._split.piece(piece)[0].tolist(), apart=self._apart)
        return self._found[piece]

    def drawn(self, piece: int, generator: np.random.Generator, ids: NDArray[np.integer] | None = None) -> FormTold:
        """A piece as training tells it."""
        sounding = tracks_with_notes(ids.tolist()) if ids is not None and self._apart else None
        plan = self.found(piece).told(generator, HIDDEN, CUT, RETOLD, sounding)
        return FormTold(plan, bool(generator.random() < FORGOTTEN))

    def whole(self, piece: int, generator: np.random.Generator, ids: NDArray[np.integer] | None = None) -> FormTold:
        """A piece with all of its plan, to measure what it is worth."""
        return FormTold(self.found(piece).plan)

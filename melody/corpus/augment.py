"""Augmentation while training: each time a piece is fetched it comes in a new transposition, and with less of a plan.

Nothing is copied: a transposition is a table lookup on the stored ids and channels, drawn evenly from the shifts that
the store allows the piece. A plan channel (bars left, key) is hidden (0 = unknown) for a whole piece now and then, so
that a model learns to compose with and without being told.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from melody.corpus.store import Split
from melody.tokens import Channel


class ShiftingTokenizer(Protocol):
    """What augmentation needs of a tokenizer."""

    @property
    def channels(self) -> tuple[Channel, ...]: ...

    def shift_tables(self, shifts: list[int]) -> tuple[NDArray[np.int32], list[NDArray[np.int16]]]: ...


class Tables(NamedTuple):
    """Lookup tables for the shifts from `lowest` on, one row each."""

    lowest: int  # semitones
    ids: NDArray[np.int32]  # (S, V)
    channels: list[NDArray[np.int16]]  # C of (S, size of the channel)
    plan: NDArray[np.bool_]  # (C,) which channels know what is to come


def shift_tables(tokenizer: ShiftingTokenizer, split: Split) -> Tables:
    """The tables for all transpositions that a split allows."""
    lowest = int(split.shifts[:, 0].min(initial=0))
    highest = int(split.shifts[:, 1].max(initial=0))
    ids, channels = tokenizer.shift_tables(list(range(lowest, highest + 1)))
    return Tables(lowest, ids, channels, np.array([channel.plan for channel in tokenizer.channels], bool))


@dataclass(frozen=True)
class AugmentedSource:
    """The pieces of a split as training fetches them."""

    split: Split
    tables: Tables
    transpose: bool = True
    plan_dropout: float = 0.0  # probability that a plan channel is hidden

    def __len__(self) -> int:
        return len(self.split)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece, shape (P,)."""
        return self.split.lengths

    @property
    def notes(self) -> NDArray[np.int32]:
        """Notes of each piece, shape (P,)."""
        return self.split.notes

    def fetch(self, piece: int, generator: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """Ids (T,) and context (T, C) of a piece, as chance has it this time; arrays of the caller's own."""
        least, greatest = self.split.shifts[piece].tolist()
        shift = int(generator.integers(least, greatest + 1)) if self.transpose else 0
        hidden = self.tables.plan & (generator.random(len(self.tables.plan)) < self.plan_dropout)
        return self.shifted(piece, shift, hidden)

    def shifted(
        self, piece: int, semitones: int, hidden: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """A piece in a given transposition, with the channels `hidden` (C,) set to 0."""
        ids, context = self.split.piece(piece)
        row = semitones - self.tables.lowest
        columns = [table[row][context[:, c]] for c, table in enumerate(self.tables.channels)]
        result = np.stack(columns, axis=1) if columns else np.array(context)
        result[:, hidden] = 0
        return self.tables.ids[row][ids], result

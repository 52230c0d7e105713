"""Augmentation while training: each fetch of a piece is a new transposition, with less of a plan and other wishes.

Louder or faster music is the same music too: all velocities of a piece may move by some bins, and all its tempos.
Nothing is copied: a transposition is a table lookup on the stored ids and channels, drawn evenly from the shifts that
the store allows the piece. What is known of the piece as a whole (its length, its key) is hidden (0 = unknown) now and
then, so that a model learns to compose with and without being told. The channels between those that are read and those
that are recalled are drawn: by `Wishes` what a musician may want, by `Tunes` what other pieces did, and with it the
order in which voices are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from melody.corpus.draw_conditions import Wishes
from melody.corpus.store import Split
from melody.jsb16.told import Told, Tunes
from melody.tokens import Channel
from melody.tokens.channels import RECALLED
from melody.tokens.repetition import recalls


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
    plans: list[NDArray[np.bool_]]  # for each plan which channels (C,) tell of it
    recalls: bool  # the last ones are those of `melody.tokens.repetition`


def shift_tables(tokenizer: ShiftingTokenizer, split: Split) -> Tables:
    """The tables for all transpositions that a split allows."""
    lowest = int(split.shifts[:, 0].min(initial=0))
    highest = int(split.shifts[:, 1].max(initial=0))
    ids, channels = tokenizer.shift_tables(list(range(lowest, highest + 1)))
    plan = np.array([channel.plan for channel in tokenizer.channels], str)
    is_recalled = any(channel.name == RECALLED for channel in tokenizer.channels)
    return Tables(lowest, ids, channels, [plan == name for name in ("length", "key")], is_recalled)


@dataclass(frozen=True)
class AugmentedSource:
    """The pieces of a split as training fetches them."""

    split: Split
    tables: Tables
    transpose: bool = True
    plan_dropout: float = 0.0  # probability that the length is hidden, and that the key is
    wishes: Wishes | None = None  # None: nothing is foreseen
    levels: Sequence[tuple[range, int]] = ()  # tokens in order (velocities, tempos), and by how many a piece may move
    tunes: Tunes | None = None  # None: nothing is told of other pieces

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
        hidden = np.zeros(len(self.tables.channels), bool)
        for plan in self.tables.plans:
            if generator.random() < self.plan_dropout:
                hidden |= plan
        told: Told | None = None
        if self.wishes is not None:
            ids, read = self.split.piece(piece)
            wished = self.wishes.draw(ids, generator, int(self.split.styles[piece]))
            told = ids, np.concatenate([read, wished], axis=1)
        elif self.tunes is not None:
            told = self.tunes.draw(piece, generator)
        steps = [int(generator.integers(-most, most + 1)) if most else 0 for _, most in self.levels]
        return self.shifted(piece, shift, hidden, told, steps)

    def shifted(
        self,
        piece: int,
        semitones: int,
        hidden: NDArray[np.bool_],
        told: Told | None = None,
        steps: Sequence[int] = (),
    ) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """A piece in a given transposition, with the channels `hidden` (C,) set to 0.

        `told` are its ids (T,) and its first channels (T, F) before that; without, they are what the store holds.
        `steps` say by how many places the tokens of each of `levels` move.
        """
        ids, known = told or self.split.piece(piece)
        row = semitones - self.tables.lowest
        context = np.zeros((len(ids), len(self.tables.channels)), np.int16)
        context[:, : known.shape[1]] = known
        for column, table in enumerate(self.tables.channels):
            context[:, column] = table[row][context[:, column]]
        context[:, hidden] = 0
        moved = self.tables.ids[row][ids]
        for (span, _), count in zip(self.levels, steps, strict=False):
            move_levels(moved, span, count)
        if self.tables.recalls:  # as quick as to keep it, and a store holds half as many channels
            past = recalls(moved)
            context[:, -past.shape[1] :] = past
        return moved, context


def move_levels(ids: NDArray[np.int32], span: range, steps: int) -> None:
    """Move all tokens of a kind in order by so many places, or as many as leave each of them a place; in place."""
    here = (ids >= span.start) & (ids < span.stop)
    if here.any():
        least, greatest = span.start - int(ids[here].min()), span.stop - 1 - int(ids[here].max())
        ids[here] += min(max(steps, least), greatest)

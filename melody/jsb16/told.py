"""Pieces of voices as training tells them: in an order of the voices, with the tunes of other pieces.

In training each draw takes one of the orders (`melody.jsb16.tokenizer`); a held-out piece comes in the first.

What a training piece finds must not be a name by which to know it: so it never finds itself, each time it looks into
another part of the book, and now and then into none. A held-out piece looks into the whole book. (With the whole book
in training too, JSB-16 is learned by heart: 0.359 nats per voice-step on valid instead of 0.348.)
"""

from copy import copy

import numpy as np
from numpy.typing import NDArray

from melody.jsb16.tokenizer import ORDERS, READ, VoicesTokenizer
from melody.jsb16.tune_book import TOLD, TuneReader
from melody.tokens.contract import StoredPieces, Told

DRAWS = 24  # different parts of the book that a piece looks into, each with an order of its own in turn
PART = (0.1, 0.9)  # of the book: the least and the most
NONE = 0.2  # of the times
COLUMNS = np.arange(len(READ) + len(TOLD))  # of the channels that are read, and that tell of other pieces


class Tunes:
    """Draws what the pieces of the train split are told of each other."""

    def __init__(self, tokenizer: VoicesTokenizer, train: StoredPieces) -> None:
        self._tokenizer, self._split, self._learns = tokenizer, train, True
        self._book = tokenizer.tune_book([tokenizer.grid(_ids(train, piece)) for piece in range(len(train))])
        self._drawn: dict[tuple[int, int], tuple[NDArray[np.integer], NDArray[np.int16]]] = {}

    def of_held_out(self, split: StoredPieces) -> "Tunes":
        """The same for the pieces of another split, told of the same book."""
        other = copy(self)
        other._split, other._learns, other._drawn = split, False, {}
        return other

    def draw(self, piece: int, generator: np.random.Generator) -> Told:
        """A piece with the channels that are read, and those that tell of other pieces."""
        number = int(generator.integers(DRAWS)) if self._learns else 0
        ids, context = self._find(piece, number)
        if self._learns and generator.random() < NONE:
            context = context.copy()
            context[:, len(READ) :] = 0
        return Told(ids, COLUMNS, context)

    def _find(self, piece: int, number: int) -> tuple[NDArray[np.integer], NDArray[np.int16]]:
        if (piece, number) not in self._drawn:
            without: set[int] = set()
            if self._learns:
                chance = np.random.default_rng([piece, number])
                kept = chance.random(self._book.pieces) < chance.uniform(*PART)
                without = {piece, *np.flatnonzero(~kept).tolist()}
            reader = TuneReader(self._book, without)
            ids, order = _ids(self._split, piece), number % len(ORDERS)
            if order:
                ids = self._tokenizer.spell(self._tokenizer.grid(ids), order)
            context = self._tokenizer.context(ids, reader, order)[:, : len(READ) + len(TOLD)]
            self._drawn[piece, number] = ids, context
        return self._drawn[piece, number]


def _ids(split: StoredPieces, piece: int) -> NDArray[np.int32]:
    return split.piece(piece)[0].astype(np.int32)

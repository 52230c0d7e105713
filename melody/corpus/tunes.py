"""What pieces of voices are told of the tunes of other pieces, in training and when they are held out.

What a training piece finds must not be a name by which to know it: so it never finds itself, each time it looks into
another part of the book, and now and then into none. A held-out piece looks into the whole book. (With the whole book
in training too, JSB-16 is learned by heart: 0.359 nats per voice-step on valid instead of 0.348.)
"""

from copy import copy

import numpy as np
from numpy.typing import NDArray

from melody.corpus.store import Split
from melody.tokens.tunes import TuneReader
from melody.tokens.voices import VoicesTokenizer

DRAWS = 24  # different parts of the book that a piece looks into
PART = (0.1, 0.9)  # of the book: the least and the most
NONE = 0.2  # of the times


class Tunes:
    """Draws what the pieces of the train split are told of each other."""

    def __init__(self, tokenizer: VoicesTokenizer, train: Split) -> None:
        self._tokenizer, self._split, self._learns = tokenizer, train, True
        self._book = tokenizer.tune_book([tokenizer.grid(_ids(train, piece)) for piece in range(len(train))])
        self._drawn: dict[tuple[int, int], NDArray[np.int16]] = {}

    def of_held_out(self, split: Split) -> "Tunes":
        """What the pieces of another split are told, of the same book."""
        other = copy(self)
        other._split, other._learns, other._drawn = split, False, {}
        return other

    def draw(self, piece: int, generator: np.random.Generator) -> NDArray[np.int16]:
        """The channels (T, F) of `melody.tokens.tunes` beside the ids (T,) of a piece."""
        number = int(generator.integers(DRAWS)) if self._learns else 0
        found = self._find(piece, number)
        return np.zeros_like(found) if self._learns and generator.random() < NONE else found

    def _find(self, piece: int, number: int) -> NDArray[np.int16]:
        if (piece, number) not in self._drawn:
            without: set[int] = set()
            if self._learns:
                chance = np.random.default_rng([piece, number])
                kept = chance.random(self._book.pieces) < chance.uniform(*PART)
                without = {piece, *np.flatnonzero(~kept).tolist()}
            reader = TuneReader(self._book, without)
            self._drawn[piece, number] = self._tokenizer.tunes(_ids(self._split, piece), reader)
        return self._drawn[piece, number]


def _ids(split: Split, piece: int) -> NDArray[np.int32]:
    return split.piece(piece)[0].astype(np.int32)

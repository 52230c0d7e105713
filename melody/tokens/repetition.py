"""Repetition: what followed the last time that a piece stood as it does now, as channels.

With them a model can bring a phrase back.

Where the last `LEAST` tokens have stood before in this piece, `recalled` is 1 + the token that followed then. `agreed`
tells how long the two passages have agreed, `times` how often these tokens have stood in all, `ago` how long ago: a
phrase of eight bars comes back once or twice, and a model that did not know the difference would turn in a loop of two
for ever. The longest match continues as long as it is followed; a broken one is looked up anew, the latest passage
first.

Music repeats itself more exactly and over longer spans than a state can hold: of the bars of folk tunes, played with
their repeats, nearly half have stood before.

The idea is that of longest-match prediction in text compression (PPM*, Cleary, Teahan & Witten 1995), given to the
model as something to know rather than as a prediction.
"""

from bisect import bisect_right
from collections.abc import Iterable
from math import log2

import numpy as np
from numpy.typing import NDArray

LEAST = 8  # tokens that agree
LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128)  # of a passage: lower bounds of what the channel tells apart
MOST_TIMES = 8
MOST_AGO = 24  # half octaves of tokens
MEMORY = 4096  # tokens that are remembered, at least: a piece without end shall not grow


class Recall:
    """The tokens read so far, and where the passage that agrees with the last ones goes on."""

    __slots__ = ("_at", "_length", "_places", "_times", "_tokens")

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._places: dict[tuple[int, ...], tuple[int, int]] = {}  # where the latest such passage ended; how many
        self._at = -1  # place of the token recalled; -1: none
        self._length = 0  # tokens that agree
        self._times = 0  # that the last tokens have stood, this time included

    def copy(self) -> "Recall":
        """An independent memory of the same tokens."""
        result = Recall()
        result._tokens, result._places = self._tokens.copy(), self._places.copy()
        result._at, result._length, result._times = self._at, self._length, self._times
        return result

    def read(self, token: int) -> None:
        """Take the next token."""
        tokens = self._tokens
        if self._at >= 0 and tokens[self._at] == token:
            self._at, self._length = self._at + 1, self._length + 1
        else:
            self._at = -1
        tokens.append(token)
        if len(tokens) >= LEAST:
            passage = tuple(tokens[-LEAST:])
            place, times = self._places.get(passage, (-1, 0))
            if self._at < 0 <= place:
                self._at = place
                self._length = self._agreeing()
            self._times = times + 1
            self._places[passage] = len(tokens), self._times
        if len(tokens) >= 2 * MEMORY:
            self._forget()

    def _agreeing(self) -> int:
        """Number of tokens before the place recalled that agree with the last ones."""
        tokens, most = self._tokens, min(self._at, LENGTHS[-1])
        length = LEAST
        while length < most and tokens[self._at - 1 - length] == tokens[-1 - length]:
            length += 1
        return length

    def _forget(self) -> None:
        tokens, gone = self._tokens[-MEMORY:], len(self._tokens) - MEMORY
        self._tokens, self._at = tokens, max(-1, self._at - gone)
        self._places = {
            passage: (place - gone, times) for passage, (place, times) in self._places.items() if place - gone >= LEAST
        }

    @property
    def context(self) -> tuple[int, int, int, int]:
        """The values of the channels `recalled`, `agreed`, `times` and `ago`; 0 where nothing agrees."""
        if self._at < 0:
            return 0, 0, 0, 0
        ago = int(2 * log2(len(self._tokens) - self._at))
        agreed = bisect_right(LENGTHS, self._length)
        return 1 + self._tokens[self._at], agreed, min(self._times, MOST_TIMES), 1 + min(ago, MOST_AGO)


def recalls(ids: Iterable[int]) -> NDArray[np.int16]:
    """The four channels (T, 4) after each of the ids (T,)."""
    memory, rows = Recall(), []
    for token in ids:
        memory.read(int(token))
        rows.append(memory.context)
    return np.array(rows, np.int16).reshape(-1, 4)

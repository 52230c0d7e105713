"""The contract of tokenizers, and of what reads their tokens one by one.

A tokenizer turns scores into ids and back. It knows its vocabulary and the context channels that a model beside it is
told, transposes by lookup tables, and opens a `TokenReader`: which tokens may follow, and what the channels say. To add
one: a class with these members, and a line in `melody.learning.tokenizers.TOKENIZERS`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Score
from melody.tokens.channels import Channel
from melody.tokens.intervals import IntervalView
from melody.tokens.vocabulary import Vocabulary

Ids = NDArray[np.int32]


class TokenReader(Protocol):
    """The tokens read so far: their context channels, and which tokens may follow."""

    def read(self, token: int) -> object:
        """Take the next token."""

    @property
    def context(self) -> Sequence[int] | NDArray[np.int16]:
        """The channels (C,) after the last token."""

    def allow(self) -> NDArray[np.bool_]:
        """A mask (V,) of the tokens that may follow."""


class Tokenizer(Protocol):
    """Scores to ids and back."""

    @property
    def name(self) -> str:
        """Its name in a store or bundle."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Settings that rebuild it, as JSON."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens by id."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The context channels (C of them), in the order of their columns."""

    def encode(self, score: Score) -> Ids:
        """The ids (T,) of a score, from BOS to EOS."""

    def decode(self, ids: NDArray[np.integer]) -> Score:
        """The quantised score of ids."""

    def context(self, ids: Ids) -> NDArray[np.int16]:
        """The channels (T, C) after each token of a whole piece."""

    def transposition(self, ids: Ids) -> tuple[int, int]:
        """The lowest and highest number of semitones by which all pitches have a token."""

    def telling(self, names: Sequence[str]) -> "Tokenizer":
        """The same tokenizer with these channels."""

    def intervals(self, widest: int | None) -> IntervalView | None:
        """Relation of pitches to what the channels tell, up to so many semitones (None: not asked)."""

    def shift_tables(self, shifts: list[int]) -> tuple[NDArray[np.int32], list[NDArray[np.int16]]]:
        """Tables that transpose: ids (S, V) and, per channel, values (S, size), one row a shift."""


class StoredPieces(Protocol):
    """Tokenized pieces by number, as a split of a store has them."""

    def __len__(self) -> int: ...

    def piece(self, index: int) -> tuple[NDArray[np.uint16], NDArray[np.int16]]:
        """Ids (T,) and the channels (T, R) that follow from reading them."""


class Told(NamedTuple):
    """A piece as it is told this time, before it is transposed."""

    ids: NDArray[np.integer]  # (T,)
    columns: NDArray[np.intp]  # (F,): of the context channels
    values: NDArray[np.int16]  # (T, F)
    table: NDArray[np.int16] | None = None  # (ticks, all that is foreseen): the same, tick by tick


class Teller(Protocol):
    """Draws the channels that do not follow from reading a piece."""

    def draw(self, piece: int, generator: np.random.Generator) -> Told:
        """A piece as it is told this time."""


def columns_in(channels: Sequence[Channel], group: str) -> NDArray[np.intp]:
    """The columns of the channels of a group."""
    return np.array([place for place, channel in enumerate(channels) if channel.group == group], np.intp)

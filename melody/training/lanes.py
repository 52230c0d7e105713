"""Lanes: how pieces become the windows of truncated back-propagation through time.

Each lane reads its own pieces, window after window, and the carry goes with it. A piece starts at a window's beginning,
so that `reset` (one flag for each lane) says all there is to say about where pieces start:

      window 0    window 1    window 2
      a a a a  |  a a . .  |  b b b .      lane 0: piece a, then piece b; "." is padding, masked
      c c c c  |  c c c c  |  c . . .      lane 1: piece c
      ^reset      -           ^reset (lane 0 only)

Each pass deals the pieces anew, by a generator of (seed, pass); a piece is drawn (transposed ...) by one of
(seed, pass, piece). A position is (pass, window): whoever knows it can go on there without further state.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melody.models import carry as carries
from melody.models.carry import Carry

Arrays = dict[str, NDArray[Any]]  # the condition of a piece, by name, of the same shapes for all pieces
Piece = tuple[NDArray[Any], NDArray[Any]] | tuple[NDArray[Any], NDArray[Any], Arrays]  # ids (T,), context (T, C)
Place = tuple[int, int]  # a piece, and which of its windows


class PieceSource(Protocol):
    """Source of pieces. A piece is ids (T,) from BOS to EOS, context (T, C) and, for a model that is conditioned on
    something, its condition."""

    @property
    def lengths(self) -> NDArray[Any]:
        """Tokens of each piece, shape (P,)."""

    @property
    def notes(self) -> NDArray[Any]:
        """Notes of each piece, shape (P,), for nats per note."""

    def fetch(self, piece: int, generator: np.random.Generator) -> Piece:
        """Return a piece, augmented as chance has it; it has at most `lengths[piece]` tokens."""


@dataclass(frozen=True)
class Window:
    """T tokens of B lanes. Where `mask` is false, the other arrays hold zeros."""

    tokens: Tensor  # (B, T) int64
    targets: Tensor  # (B, T) int64: the token that follows
    context: Tensor  # (B, T, C) int64
    mask: Tensor  # (B, T) bool
    reset: Tensor  # (B,) bool: a piece starts here, or the lane has run dry
    condition: Carry | None = None  # of the pieces that start here, zeros in other rows; None where none has one

    def to(self, device: torch.device) -> "Window":
        """Return the same window on a device."""
        condition = self.condition
        if condition is not None:
            condition = carries.map_tensors(lambda tensor: tensor.to(device), condition)
        return Window(
            self.tokens.to(device),
            self.targets.to(device),
            self.context.to(device),
            self.mask.to(device),
            self.reset.to(device),
            condition,
        )

    def begin(self, carry: Carry, initial: Carry, start: Callable[[int, Carry], Carry]) -> Carry:
        """Return a carry in which the pieces that start here begin: from their condition, or from `initial`."""
        fresh = initial if self.condition is None else start(len(self.reset), self.condition)
        return carries.reset(carry, fresh, self.reset)


@dataclass(frozen=True)
class Lanes:
    """`batch_size` lanes over a source, of which this process (`rank` of `ranks`) reads its share."""

    source: PieceSource
    batch_size: int  # over all ranks
    window: int  # tokens
    seed: int = 0
    rank: int = 0
    ranks: int = 1

    def windows_of_pieces(self) -> NDArray[np.int64]:
        """Windows that each piece takes, shape (P,). Its last token is only a target."""
        return -(-(np.asarray(self.source.lengths, np.int64) - 1) // self.window)

    def deal(self, pass_: int) -> list[list[int]]:
        """The pieces of every lane in a pass: the longest first, each to the shortest lane; then each lane is mixed."""
        generator = np.random.default_rng([self.seed, pass_])
        counts = self.windows_of_pieces()
        shuffled = generator.permutation(len(counts))
        lanes: list[list[int]] = [[] for _ in range(self.batch_size)]
        filled = np.zeros(self.batch_size, np.int64)
        for piece in shuffled[np.argsort(-counts[shuffled], kind="stable")].tolist():
            lane = int(filled.argmin())
            lanes[lane].append(piece)
            filled[lane] += counts[piece]
        return [generator.permutation(np.array(lane, np.int64)).tolist() for lane in lanes]

    def windows_in_pass(self) -> int:
        """Windows of a pass: the longest lane's. The same in every pass, as only equally long pieces change places."""
        counts = self.windows_of_pieces()
        return max(int(counts[lane].sum()) for lane in self.deal(0))

    def windows(self, pass_: int, first: int = 0) -> Iterator[Window]:
        """The windows of a pass from number `first` on, this rank's lanes."""
        counts = self.windows_of_pieces()
        dealt = self.deal(pass_)
        length = max(int(counts[lane].sum()) for lane in dealt)
        share = self.batch_size // self.ranks
        mine = dealt[self.rank * share : (self.rank + 1) * share]
        places = [[(piece, part) for piece in lane for part in range(counts[piece])] for lane in mine]
        pieces: dict[int, Piece] = {}
        for number in range(first, length):
            here = [lane[number] if number < len(lane) else None for lane in places]
            reading = [place[0] for place in here if place]
            pieces = {piece: pieces[piece] if piece in pieces else self._fetch(pass_, piece) for piece in reading}
            yield self._cut(here, pieces)

    def _fetch(self, pass_: int, piece: int) -> Piece:
        return self.source.fetch(piece, np.random.default_rng([self.seed, pass_, piece]))

    def _cut(self, here: list[Place | None], pieces: dict[int, Piece]) -> Window:
        """The window of the given places, one for each lane; None where a lane has run dry."""
        shape = (len(here), self.window)
        tokens, targets, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, bool)
        channels = next(iter(pieces.values()))[1].shape[1] if pieces else self._fetch(0, 0)[1].shape[1]
        context = np.zeros((*shape, channels), np.int64)
        for lane, place in enumerate(here):
            if place is None:
                continue
            ids, values = pieces[place[0]][:2]
            start = place[1] * self.window
            stop = max(start, min(start + self.window, len(ids) - 1))
            here_in_lane = (lane, slice(0, stop - start))
            tokens[here_in_lane] = ids[start:stop]
            targets[here_in_lane] = ids[start + 1 : stop + 1]
            context[here_in_lane] = values[start:stop]
            mask[here_in_lane] = True
        reset = np.array([place is None or place[1] == 0 for place in here])
        tensors = [torch.from_numpy(array) for array in (tokens, targets, context, mask, reset)]
        return replace(Window(*tensors), condition=_conditions(here, pieces))


def _conditions(here: list[Place | None], pieces: dict[int, Piece]) -> Carry | None:
    """Return the conditions of the pieces that start in a window, lane by lane."""
    starting = {lane: pieces[place[0]] for lane, place in enumerate(here) if place and place[1] == 0}
    told = {lane: piece[2] for lane, piece in starting.items() if len(piece) == 3}
    if not told:
        return None
    result: dict[str, Carry] = {}
    for name, like in next(iter(told.values())).items():
        rows = np.zeros((len(here), *like.shape), like.dtype)
        for lane, condition in told.items():
            rows[lane] = condition[name]
        result[name] = torch.from_numpy(rows)
    return result

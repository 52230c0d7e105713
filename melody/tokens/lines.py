"""Lines: where the track under way comes from, as channels: its last move, and how far its range of late lies away.

    move    direction and size of the last move (step, third or fourth, leap), and for how many moves it has gone there
    above   semitones from its last note up to the highest of its last `REACH` notes
    below   semitones from there down to the lowest

They follow from the tokens alone and stay under transposition. A track is under way from its Track token to the next
position: a note of the track named last, which goes on there by itself, is not seen. A state may hold all this,
but has to learn to; told it, a model turns a tune more nearly as often as the tunes that it has learned from.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from melody.tokens.vocabulary import event_vocabulary

STEP, SKIP = 2, 5  # semitones: a step at most, a third or fourth at most
LONGEST = 4  # moves in one direction that are told apart
MOVES = 2 * 3 * LONGEST
REACH = 16  # notes of a track that are looked back on
MOST_AWAY = 15  # semitones
SIZES = {"move": 1 + MOVES, "above": 2 + MOST_AWAY, "below": 2 + MOST_AWAY}  # of the channels; 0: no note, or no track
NAMES = tuple(SIZES)
_IDS = event_vocabulary().ids
_PITCH, _TRACK = _IDS["Pitch"], _IDS["Track"]
_LEAVES = frozenset((*_IDS["Position"], *_IDS["Bar"]))  # tokens behind which no track is under way
Line = tuple[tuple[int, ...], int]  # the last notes, and the value of "move"
_NOTHING: Line = ((), 0)


class LineMemory:
    """The last notes of each track, and the channels of the one under way."""

    __slots__ = ("_lines", "_track", "context")

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}
        self._track = -1
        self.context = (0, 0, 0)

    def copy(self) -> "LineMemory":
        """An independent memory of the same notes."""
        result = LineMemory()
        result._lines, result._track, result.context = self._lines.copy(), self._track, self.context
        return result

    def read(self, token: int) -> None:
        """Take the next token."""
        if _PITCH.start <= token < _PITCH.stop and self._track >= 0:
            self._lines[self._track] = _after(*self._lines.get(self._track, _NOTHING), token - _PITCH.start)
        elif _TRACK.start <= token < _TRACK.stop:
            self._track = token - _TRACK.start
        elif token in _LEAVES:
            self._track = -1
        else:
            return
        self._tell()

    def _tell(self) -> None:
        notes, move = self._lines.get(self._track, _NOTHING)
        if not notes:
            self.context = (0, 0, 0)
            return
        above, below = max(notes) - notes[-1], notes[-1] - min(notes)
        self.context = move, 1 + min(above, MOST_AWAY), 1 + min(below, MOST_AWAY)


def _after(notes: tuple[int, ...], move: int, pitch: int) -> Line:
    """The line after one more note; a note that is repeated is no move."""
    if not notes or pitch == notes[-1]:
        return (*notes[-REACH + 1 :], pitch), move
    by = pitch - notes[-1]
    up, size = by > 0, (abs(by) > STEP) + (abs(by) > SKIP)
    before, run = divmod(move - 1, LONGEST) if move else (-1, 0)
    run = min(run + 1, LONGEST - 1) if move and (before >= 3) == up else 0
    return (*notes[-REACH + 1 :], pitch), 1 + (3 * up + size) * LONGEST + run


def lines_of(ids: Iterable[int]) -> NDArray[np.int16]:
    """The three channels (T, 3) after each of the ids (T,)."""
    memory, rows = LineMemory(), []
    for token in ids:
        memory.read(int(token))
        rows.append(memory.context)
    return np.array(rows, np.int16).reshape(-1, len(NAMES))

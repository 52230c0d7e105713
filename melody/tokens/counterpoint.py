"""Counterpoint: how voices that move at a position stood to the track under way before, as channels.

    stood_0 ...   1 + the interval from the lower to the upper of both, in semitones within an octave, where that voice
                  has moved at this position; 0 where it has not, or one of the two has no note before

Where a voice that stood a fifth above has moved, one move makes parallel fifths: that to a fifth below its new pitch.
Told how it stood, a model need not keep the intervals of all pairs of voices in its state to know which. The channels
follow from the tokens alone and stay under transposition; tracks are voices from high to low.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from melody.tokens.vocabulary import event_vocabulary

OCTAVE = 12
SIZE = 1 + OCTAVE  # of a channel
_IDS = event_vocabulary().ids
_PITCH, _TRACK = _IDS["Pitch"], _IDS["Track"]
_MOVES_ON = frozenset((*_IDS["Position"], *_IDS["Bar"]))


def names(voices: int) -> tuple[str, ...]:
    """The channels of a model that is told of so many voices."""
    return tuple(f"stood_{voice}" for voice in range(voices))


class CounterpointMemory:
    """The last pitch of each track, now and before this position, and the channels of the track under way."""

    __slots__ = ("_before", "_last", "_track", "context")

    def __init__(self, voices: int) -> None:
        self._last: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._track = -1
        self.context = (0,) * voices

    def copy(self) -> "CounterpointMemory":
        """An independent memory of the same notes."""
        result = CounterpointMemory(0)
        result._last, result._before = self._last.copy(), self._before  # which is only replaced
        result._track, result.context = self._track, self.context
        return result

    def read(self, token: int) -> None:
        """Take the next token."""
        if token in _MOVES_ON:
            self._before = self._last.copy()
        elif _TRACK.start <= token < _TRACK.stop:
            self._track = token - _TRACK.start
        elif _PITCH.start <= token < _PITCH.stop and self._track >= 0:
            self._last[self._track] = token - _PITCH.start
        else:
            return
        self.context = tuple(self._stood(voice) for voice in range(len(self.context)))

    def _stood(self, voice: int) -> int:
        before, mine = self._before.get(voice), self._before.get(self._track)
        if voice == self._track or before is None or mine is None or self._last[voice] == before:
            return 0
        return 1 + (before - mine if voice < self._track else mine - before) % OCTAVE


def counterpoint_of(ids: Iterable[int], voices: int) -> NDArray[np.int16]:
    """The channels (T, voices) after each of the ids (T,)."""
    memory, rows = CounterpointMemory(voices), []
    for token in ids:
        memory.read(int(token))
        rows.append(memory.context)
    return np.array(rows, np.int16).reshape(-1, voices)

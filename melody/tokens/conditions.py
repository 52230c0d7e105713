"""Conditions: what is known of the music to come, tick by tick of the 24-grid, behind the ``foreseen`` channels
and ``contour``.

Training fills them from a piece, with parts of it taken as given; composing from what the musician asks.
"""

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Notes
from melody.tokens.channels import REST, USUAL_VOICES, wishing
from melody.tokens.harmony import WAITS


class Conditions:
    """A table (ticks, F), a row for each tick and a column for each channel; zeros say nothing.

    Tracks beyond `voices` have no channels: what is told of them is left out.
    """

    def __init__(self, ticks: int, voices: int = USUAL_VOICES) -> None:
        channels = wishing(voices)
        self.values: NDArray[np.int16] = np.zeros((ticks, len(channels)), np.int16)
        self.voices = voices
        self._column = {channel.name: place for place, channel in enumerate(channels)}

    def __len__(self) -> int:
        return len(self.values)

    def at(self, tick: int) -> NDArray[np.int16]:
        """The row (F,) of a tick; past the end the last one holds."""
        row: NDArray[np.int16] = self.values[min(tick, len(self.values) - 1)]
        return row

    def column(self, name: str) -> NDArray[np.int16]:
        """A view (ticks,) of a channel."""
        return self.values[:, self._column[name]]

    def tell(self, name: str, values: NDArray[np.integer] | int, start: int = 0, stop: int | None = None) -> None:
        """Write a channel for the ticks from `start` to before `stop`."""
        self.column(name)[start:stop] = values

    def tell_notes(self, voice: int, notes: Notes, known: NDArray[np.bool_]) -> None:
        """Tell of a track's notes those that begin where it is `known` (ticks,).

        `given` is the pitch that sounds (of several the highest), `next` the one after it and `wait` the time until
        then. A known track that is silent says `REST`; a note that began where it was unknown remains so.
        """
        if voice >= self.voices:
            return
        ticks = np.arange(len(self))
        line = _line(notes)
        sounds = _covered(line, len(self))
        told = line.take(known[np.minimum(line.onset, len(self) - 1)])
        self.tell(f"given_{voice}", np.where(known & ~sounds, REST, 0))
        if not len(told.onset):
            return
        latest = np.searchsorted(told.onset, ticks, side="right") - 1
        here = (latest >= 0) & (ticks < (told.onset + told.duration)[latest])
        self.column(f"given_{voice}")[here] = 1 + told.pitch[latest[here]]
        more = latest + 1 < len(told.onset)
        following = latest[more] + 1
        self.column(f"next_{voice}")[more] = 1 + told.pitch[following]
        self.column(f"wait_{voice}")[more] = 1 + np.searchsorted(WAITS, told.onset[following] - ticks[more])


def _line(notes: Notes) -> Notes:
    """The highest note of each onset, in order of time, each until the next begins."""
    notes = notes.take(np.lexsort((-notes.pitch, notes.onset)))
    line = notes.take(np.diff(notes.onset, prepend=-1) != 0)
    until_next = np.append(np.diff(line.onset), line.duration[-1:])
    return line._replace(duration=np.minimum(line.duration, until_next))


def _covered(notes: Notes, ticks: int) -> NDArray[np.bool_]:
    """Return the ticks (ticks,) at which a note sounds."""
    change = np.zeros(ticks + 1, np.int64)
    np.add.at(change, np.minimum(notes.onset, ticks), 1)
    np.add.at(change, np.minimum(notes.onset + notes.duration, ticks), -1)
    return np.cumsum(change[:-1]) > 0

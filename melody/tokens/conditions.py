"""What is known of the music to come, tick by tick of the 24-grid: the table behind the `FORESEEN` channels.

A table has shape (ticks, F), a row for each tick and a column for each channel; zeros say nothing. The same functions
fill it for training, from a piece with parts of it taken as given, and for composing, from what the musician asks.
"""

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Notes
from melody.tokens.channels import FORESEEN, REST, WAITS

Table = NDArray[np.int16]  # (ticks, F)

_COLUMN = {channel.name: place for place, channel in enumerate(FORESEEN)}


def nothing_foreseen(ticks: int) -> Table:
    """A table that says nothing."""
    return np.zeros((ticks, len(FORESEEN)), np.int16)


def foresee(
    table: Table, name: str, values: NDArray[np.integer] | int, start: int = 0, stop: int | None = None
) -> None:
    """Write a channel for the ticks from `start` to before `stop`."""
    table[start:stop, _COLUMN[name]] = values


def foresee_notes(table: Table, voice: int, notes: Notes, known: NDArray[np.bool_]) -> None:
    """Tell of a track's notes those that begin where it is `known` (ticks,).

    `given` is the pitch that sounds (of several the highest), `next` the one after it and `wait` the time until then.
    A known track that is silent says `REST`; a note that began where it was unknown remains so.
    """
    ticks = np.arange(len(table))
    line = _line(notes)
    sounds = _covered(line, len(table))
    told = line.take(known[np.minimum(line.onset, len(table) - 1)])
    foresee(table, f"given_{voice}", np.where(known & ~sounds, REST, 0))
    if not len(told.onset):
        return
    latest = np.searchsorted(told.onset, ticks, side="right") - 1
    here = (latest >= 0) & (ticks < (told.onset + told.duration)[latest])
    table[here, _COLUMN[f"given_{voice}"]] = 1 + told.pitch[latest[here]]
    more = latest + 1 < len(told.onset)
    following = latest[more] + 1
    table[more, _COLUMN[f"next_{voice}"]] = 1 + told.pitch[following]
    table[more, _COLUMN[f"wait_{voice}"]] = 1 + np.searchsorted(WAITS, told.onset[following] - ticks[more])


def _line(notes: Notes) -> Notes:
    """The highest note of each onset, in order of time, each until the next begins."""
    notes = notes.take(np.lexsort((-notes.pitch, notes.onset)))
    line = notes.take(np.diff(notes.onset, prepend=-1) != 0)
    until_next = np.append(np.diff(line.onset), line.duration[-1:])
    return line._replace(duration=np.minimum(line.duration, until_next))


def _covered(notes: Notes, ticks: int) -> NDArray[np.bool_]:
    """Where (ticks,) a note sounds."""
    change = np.zeros(ticks + 1, np.int64)
    np.add.at(change, np.minimum(notes.onset, ticks), 1)
    np.add.at(change, np.minimum(notes.onset + notes.duration, ticks), -1)
    return np.cumsum(change[:-1]) > 0

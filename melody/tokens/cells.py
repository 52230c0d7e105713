"""Cells: music of single voices as a grid of voices x sixteenths, of which any cells may be hidden and filled.

    Soprano  | 67 -- -- -- 69 -- 67 -- |      a cell says that a pitch begins (67), that it sounds on (--, which
    Alto     | 62 -- -- -- .. .. ?? ?? |      knows its pitch too), or that the voice rests (..); ?? is hidden
    Bass     | 55 -- 54 -- ?? ?? ?? ?? |

So a cell alone tells what sounds there, a grid has exactly one reading, and repeated notes differ from long ones. A
sounding-on cell must follow one of its pitch: what may follow what is all that a sampler has to keep for its music to
be valid (`melody.generation.decoders.rewriting`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID, Notes, Score, bars, end_tick, notes_of

CELL = GRID // 4  # ticks
LOWEST, HIGHEST = 24, 96  # pitches, C1 to C7
PITCHES = HIGHEST - LOWEST + 1
REST, BEGINS, SOUNDS = 0, 1, 1 + PITCHES  # the first value of each kind
VALUES = 1 + 2 * PITCHES
HIDDEN, OUTSIDE = VALUES, VALUES + 1  # a cell to be filled, and one before or after the piece
LONGEST_BAR = 48  # cells

Cells = NDArray[np.int64]  # (T, voices)
Ground = NDArray[np.int64]  # (T, GROUND): place in the bar, cells of the bar, style
GROUND = ("place", "length", "style")


class Grid(NamedTuple):
    """The cells of a piece, and where each stands."""

    cells: Cells
    ground: Ground


class GridKind(NamedTuple):
    """A kind of grid: how many values a cell has, and how music becomes cells. Two values more say what is not known.

    Drums have another (`melody.tokens.hits`).
    """

    values: int
    grid_of: Callable[[Score, int], Grid]
    transposed: Callable[[Cells, int], Cells]

    @property
    def hidden(self) -> int:
        """The value of a cell to be filled."""
        return self.values

    @property
    def outside(self) -> int:
        """The value of a cell before or after the piece."""
        return self.values + 1


def grid_of(score: Score, style: int = 0) -> Grid:
    """The grid of a quantised score (24 ticks a quarter), a voice a track.

    Notes off the sixteenths move to the nearest one; of notes that begin together the highest stays; pitches beyond the
    grid move by octaves.
    """
    lines = bars(score)
    count = int(max(end_tick(score), lines[-1]) + CELL - 1) // CELL
    cells = np.stack([line_of(notes_of(track), count) for track in score.tracks], axis=1)
    return Grid(cells, ground_of(lines, count, style))


def line_of(notes: Notes, count: int) -> NDArray[np.int64]:
    """The cells (count,) of one voice."""
    line = np.full(count, REST, np.int64)
    order = np.lexsort((notes.pitch, notes.onset))
    first = (notes.onset[order] + CELL // 2) // CELL
    stop = np.maximum((notes.onset[order] + notes.duration[order] + CELL // 2) // CELL, first + 1)
    for start, end, pitch in zip(first.tolist(), stop.tolist(), within(notes.pitch[order]).tolist(), strict=True):
        line[start:end] = SOUNDS + pitch
        line[start : start + 1] = BEGINS + pitch
        if end < count and line[end] >= SOUNDS:  # a note under way was cut by this one
            line[end:][np.cumprod(line[end:] >= SOUNDS).astype(bool)] = REST
    return line


def within(pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pitches as steps above the lowest of the grid, those beyond it moved by octaves."""
    moved = np.where(pitch < LOWEST, LOWEST + (pitch - LOWEST) % 12, pitch)
    return np.asarray(np.where(moved > HIGHEST, HIGHEST - (HIGHEST - moved) % 12, moved) - LOWEST)


def notes_in(line: NDArray[np.int64], velocity: int) -> Notes:
    """The notes of one voice's cells (T,), in ticks from the first cell."""
    first = np.flatnonzero((line >= BEGINS) & (line < SOUNDS))
    ends = np.flatnonzero((line < SOUNDS) | (line >= VALUES))  # where something else than sounding on stands
    stop = np.append(ends, len(line))[np.searchsorted(ends, first, side="right")]
    pitch = line[first] - BEGINS + LOWEST
    return Notes(first * CELL, (stop - first) * CELL, pitch, np.full(len(first), velocity, np.int64))


def ground_of(lines: Sequence[int] | NDArray[np.int64], count: int, style: int) -> Ground:
    """The ground (count, GROUND) of cells under bar lines in ticks; bars like the last one go on behind it."""
    edges = np.asarray(lines, np.int64)
    last = int(edges[-1] - edges[-2]) if len(edges) > 1 else 4 * GRID
    more = max(0, -(-(count * CELL - int(edges[-1])) // last))
    edges = np.concatenate([edges, edges[-1] + last * np.arange(1, more + 2)])
    ticks = np.arange(count) * CELL
    bar = np.searchsorted(edges, ticks, side="right") - 1
    place = (ticks - edges[bar]) // CELL
    length = (edges[bar + 1] - edges[bar]) // CELL
    columns = [np.minimum(place, LONGEST_BAR - 1), np.minimum(length, LONGEST_BAR), np.full(count, style)]
    return np.stack(columns, axis=1).astype(np.int64)


def transposed(cells: Cells, semitones: int) -> Cells:
    """Cells moved by so many semitones; what would leave the grid stays in it by octaves."""
    sounding = (cells != REST) & (cells < VALUES)
    kind = np.where(cells >= SOUNDS, SOUNDS, BEGINS)
    moved = kind + within(cells - kind + LOWEST + semitones)
    return np.asarray(np.where(sounding, moved, cells))


def cut(cells: Cells, ground: Ground, start: int, count: int, outside: int = OUTSIDE) -> tuple[Cells, Ground]:
    """A stretch of a piece from a cell on, which may lie before the first one; what lies outside is `outside`.

    Outside, the ground goes on in bars like the first and the last one.
    """
    steps = np.arange(start, start + count)
    inside = ((steps >= 0) & (steps < len(cells)))[:, None]
    place = np.clip(steps, 0, len(cells) - 1)
    past = steps >= len(ground)
    length = np.where(past, ground[-1, 1], ground[0, 1])
    at = np.where(past, ground[-1, 0] + steps - len(ground) + 1, ground[0, 0] + steps) % length
    beyond = np.stack([at, length, np.full(count, ground[0, 2])], axis=1)
    return np.where(inside, cells[place], outside), np.where(inside, ground[place], beyond)


def sounding(cells: Cells) -> Cells:
    """The pitch that sounds in each cell, -1 for a rest."""
    kind = np.where(cells >= SOUNDS, SOUNDS, BEGINS)
    return np.asarray(np.where(cells == REST, -1, cells - kind + LOWEST))


def sizes(styles: int) -> Mapping[str, int]:
    """The number of values of each column of the ground."""
    return {"place": LONGEST_BAR, "length": LONGEST_BAR + 1, "style": 1 + styles}


LINES = GridKind(VALUES, grid_of, transposed)

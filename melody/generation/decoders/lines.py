"""Lines: one voice's hidden cells drawn together, so that its notes are whole and keep what stands around them.

    67 -- ?? ?? ?? 64 --      each hidden cell has its probabilities; sounding on must follow its own pitch, what is
                              kept stays, and pairs of pitches may be forbidden (parallels to other voices)

These are a hidden Markov chain with hard transitions, of which a line is drawn exactly: sums from right to left say how
much of what may follow each pitch leads to the end, then cells are drawn from left to right (forward filtering,
backward sampling; Fruhwirth-Schnatter 1994, with the ends exchanged).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from melody.tokens.cells import BEGINS, PITCHES, REST, SOUNDS, VALUES

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Line = NDArray[np.int64]  # (T,) cells of a voice
SILENT = PITCHES  # the state behind a rest; below it that behind each pitch
FIFTH, OCTAVE = 7, 12


def state_after(cell: int) -> int:
    """The state behind a cell: a pitch as a step above the lowest, or `SILENT`."""
    if cell == REST or cell >= VALUES:
        return SILENT
    return cell - (SOUNDS if cell >= SOUNDS else BEGINS)


def draw_line(
    line: Line, hidden: Bools, weights: Floats, forbidden: Sequence[Bools | None], draw: Callable[[], float]
) -> Line | None:
    """Return the line (T,) with its hidden cells drawn by their weights (T, VALUES); None where nothing fits.

    `forbidden[t]` (PITCHES, PITCHES) says which pitch may not begin at t after which. The first cell may not be hidden.
    """
    ways = _ways(line, hidden, weights, forbidden)
    result = line.copy()
    for place in np.flatnonzero(hidden).tolist():
        before = state_after(int(result[place - 1]))
        chances = _chances(weights[place], before, forbidden[place]) * _by_cell(ways[place])
        total = chances.cumsum()
        if not total[-1] > 0:
            return None
        result[place] = min(int(np.searchsorted(total, draw() * total[-1], side="right")), VALUES - 1)
    return result


def _ways(line: Line, hidden: Bools, weights: Floats, forbidden: Sequence[Bools | None]) -> Floats:
    """The likelihoods of what follows behind each state of a cell (T, PITCHES + 1), the largest 1."""
    count = len(line)
    result = np.ones((count, PITCHES + 1))
    for place in range(count - 2, -1, -1):
        if not hidden[place]:
            continue
        after = place + 1
        if hidden[after]:
            ways = _step(weights[after], result[after], forbidden[after])
        else:
            ways = _before(int(line[after]), forbidden[after])
        result[place] = ways / max(float(ways.max()), 1e-300)
    return result


def _step(weights: Floats, ways: Floats, forbidden: Bools | None) -> Floats:
    """The sums over a hidden cell, for each state before it (PITCHES + 1,)."""
    begin = weights[BEGINS:SOUNDS] * ways[:SILENT]
    result = np.full(PITCHES + 1, weights[REST] * ways[SILENT] + begin.sum())
    result[:SILENT] += weights[SOUNDS:] * ways[:SILENT]
    if forbidden is not None:
        result[:SILENT] -= forbidden @ begin
        np.maximum(result, 0, out=result)
    return result


def _before(cell: int, forbidden: Bools | None) -> Floats:
    """The states (PITCHES + 1,) that may stand before a cell that is kept."""
    result = np.ones(PITCHES + 1)
    if cell >= VALUES:  # nothing is known of it
        return result
    if cell >= SOUNDS:
        result[:] = 0
        result[cell - SOUNDS] = 1
    elif cell != REST and forbidden is not None:
        result[:SILENT][forbidden[:, cell - BEGINS]] = 0
    return result


def _chances(weights: Floats, before: int, forbidden: Bools | None) -> Floats:
    """The weights (VALUES,) of a cell behind a state."""
    result = weights.copy()
    result[SOUNDS:] = 0
    if before != SILENT:
        result[SOUNDS + before] = weights[SOUNDS + before]
        if forbidden is not None:
            result[BEGINS:SOUNDS][forbidden[before]] = 0
    return result


def _by_cell(ways: Floats) -> Floats:
    """The same by the cell that leads to each state (VALUES,)."""
    return np.concatenate([ways[SILENT:], ways[:SILENT], ways[:SILENT]])


def parallels_to(others: NDArray[np.int64], upper: Sequence[bool]) -> list[Bools | None]:
    """For each cell the pitches that may not follow each other beside other voices, whose cells (T, voices) are known.

    `upper` says which of these are above the voice. Cells that are hidden (`VALUES` and more) say nothing.
    """
    result: list[Bools | None] = [None] * len(others)
    moving = (others[1:] >= BEGINS) & (others[1:] < SOUNDS) & (others[:-1] != REST) & (others[:-1] < VALUES)
    for place, voice in np.argwhere(moving).tolist():
        old, new = (state_after(int(others[place + step, voice])) for step in (0, 1))
        if old != new:
            mask = _parallels(old, new, upper[voice])
            known = result[place + 1]
            result[place + 1] = mask if known is None else known | mask
    return result


@lru_cache(maxsize=2048)
def _parallels(old: int, new: int, upper: bool) -> Bools:
    """Pairs of pitches (PITCHES, PITCHES) that go in parallel fifths, octaves or unisons with a voice that moves."""
    steps = np.arange(PITCHES)
    sign = 1 if upper else -1
    first, second = sign * (old - steps) % OCTAVE, sign * (new - steps) % OCTAVE
    perfect = (first == 0) | (first == FIFTH)
    same_way = np.sign(steps[None] - steps[:, None]) == np.sign(new - old)
    return np.asarray(perfect[:, None] & (first[:, None] == second[None]) & same_way)

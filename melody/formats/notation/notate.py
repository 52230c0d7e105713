"""Played music as it would be notated: onsets on sixteenths or triplets, ends where the next note begins.

WrittenValue to the tick, a performance is a page of 64ths and ties. Each quarter takes the grid, sixteenths or eighth
triplets, that its onsets are nearer to; a gap of up to an eighth before the next note of the track is closed, and a
short overlap cut. Music that lies on these grids already, as a composer's does, is left as it is.
"""

import numpy as np

from melody.music.score import GRID, Ints, Notes, Score, bars, end_tick, notes_of, set_notes, without_overlaps

SIXTEENTH, TRIPLET = 6, 8
SLOPPY = 0.1  # the share of onsets, or of ends, off both grids from which on music counts as played
PREFERENCE = 0.7  # triplets must lie this much nearer
CLOSED_GAP, CUT_OVERLAP = 12, 6


def notated(score: Score) -> Score:
    """Return a quantised score as played music is notated, or the same where it is clean; drums keep their lengths."""
    notes = [(track.is_drum, notes_of(track)) for track in score.tracks]
    ends = [n.onset + n.duration for is_drum, n in notes if not is_drum]
    if not (_is_sloppy([n.onset for _, n in notes]) or _is_sloppy(ends)):
        return score
    lines = bars(score, max(1, end_tick(score)))
    grid = _Grid(np.concatenate([n.onset for _, n in notes]), lines)
    result = score.copy()
    for track in result.tracks:
        set_notes(track, _notated_track(notes_of(track), grid, int(lines[-1]), track.is_drum))
    return result


def _is_sloppy(times: list[Ints]) -> bool:
    ticks = np.concatenate(times or [np.zeros(1, np.int64)])
    return float(((ticks % SIXTEENTH != 0) & (ticks % TRIPLET != 0)).mean()) > SLOPPY


class _Grid:
    """The grid of each quarter of each bar: sixteenths or triplets."""

    def __init__(self, onsets: Ints, lines: Ints) -> None:
        self.lines = lines
        self.quarters, place = np.unique(self._quarter(onsets), return_inverse=True)
        inside = onsets - self.quarters[place]
        errors = [
            np.bincount(place, weights=np.abs(inside - _rounded(inside, step)), minlength=len(self.quarters))
            for step in (SIXTEENTH, TRIPLET)
        ]
        self.steps = np.where(errors[1] < PREFERENCE * errors[0], TRIPLET, SIXTEENTH)

    def _quarter(self, ticks: Ints) -> Ints:
        """Return the beginning of the quarter of each tick, counted from its bar line."""
        line = self.lines[np.searchsorted(self.lines, ticks, side="right") - 1]
        quarter: Ints = line + (ticks - line) // GRID * GRID
        return quarter

    def step(self, ticks: Ints) -> Ints:
        """Return the grid at each tick; sixteenths where nothing begins."""
        quarter = self._quarter(ticks)
        place = np.minimum(np.searchsorted(self.quarters, quarter), len(self.quarters) - 1)
        step: Ints = np.where(self.quarters[place] == quarter, self.steps[place], SIXTEENTH)
        return step

    def snap(self, ticks: Ints) -> Ints:
        """Return each tick on its grid."""
        quarter = self._quarter(ticks)
        return quarter + _rounded(ticks - quarter, self.step(ticks))


def _rounded(ticks: Ints, step: Ints | int) -> Ints:
    rounded: Ints = (2 * ticks + step) // (2 * step) * step
    return rounded


def _notated_track(notes: Notes, grid: _Grid, final: int, is_drum: bool) -> Notes:
    step = grid.step(notes.onset)
    onset = np.minimum(grid.snap(notes.onset), final - step)
    end = np.maximum(grid.snap(notes.onset + notes.duration), onset + step)
    if not is_drum:
        later = np.append(np.unique(onset), final)
        following = later[np.searchsorted(later[:-1], onset, side="right")]
        close = (following - end <= CLOSED_GAP) & (end - following <= CUT_OVERLAP)
        end = np.where(close, following, end)
    return without_overlaps(notes._replace(onset=onset, duration=np.minimum(end, final) - onset))

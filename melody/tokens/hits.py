"""Hits: drums as a grid of a kit's drums x sixteenths, of which any cells may be hidden and filled.

    kick    | 3 . . . . . 2 . |    a cell says how loudly its drum is struck, in `BANDS` bands, and where: at once,
    snare   | . . . . 4 . . r |    some ticks late, where triplets, 32nds and sextuplets stand, or twice (r);
    hi-hat  | 2 . 1 . ? ? ? ? |    . is silence, ? is hidden

Off the sixteenths stand an eighth of the hits of the Groove MIDI Dataset, in two bars of five: a grid of sixteenths
alone would make them straight. A beat is divided by two or by three, and all its strokes agree (`divided`). Velocity
within a band and the player's deviations are none of the grid's.
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Notes, Score, bars, end_tick, notes_of
from melody.tokens.cells import CELL, Cells, Grid, GridKind, ground_of

KIT = (36, 37, 38, 42, 43, 44, 45, 46, 48, 49, 51, 53, 57)  # of General MIDI, as `melody.music.drumkit` folds it
LOUDER = (28, 48, 72, 110)  # velocities at which the next band begins: a fifth of the dataset's hits in each
BANDS = len(LOUDER) + 1
STROKES = ((0,), (2,), (3,), (4,), (0, 3), (0, 4))  # ticks of a cell at which its drum is struck
SILENCE = 0
VALUES = 1 + len(STROKES) * BANDS
BEAT = 4  # cells

Bools = NDArray[np.bool_]


def hits_of(notes: Notes, count: int) -> Cells:
    """The cells (count, drums) of hits; what is not of the kit is left out, and of more strokes in a cell the first.

    A stroke that stands where none of `STROKES` has it moves to the nearest one.
    """
    struck: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    places = {pitch: place for place, pitch in enumerate(KIT)}
    for onset, pitch, velocity in zip(notes.onset.tolist(), notes.pitch.tolist(), notes.velocity.tolist(), strict=True):
        if pitch in places and onset // CELL < count:
            tick = {1: 0, 5: 4}.get(onset % CELL, onset % CELL)
            strokes = struck[onset // CELL, places[pitch]]
            strokes[tick] = max(velocity, strokes.get(tick, 0))
    cells = np.full((count, len(KIT)), SILENCE, np.int64)
    for (cell, place), strokes in struck.items():
        ticks = tuple(sorted(strokes))
        kind = STROKES.index(ticks) if ticks in STROKES else STROKES.index(ticks[:1])
        band = int(np.searchsorted(LOUDER, max(strokes.values()), side="right"))
        cells[cell, place] = 1 + kind * BANDS + band
    return cells


def grid_of(score: Score, style: int = 0) -> Grid:
    """The grid of the drums of a quantised score (24 ticks a quarter)."""
    lines = bars(score)
    count = int(max(end_tick(score), lines[-1]) + CELL - 1) // CELL
    parts = [notes_of(track) for track in score.tracks if track.is_drum] or [notes_of(score.tracks[0])]
    together = Notes(*map(np.concatenate, zip(*parts, strict=True)))
    return Grid(hits_of(together, count), ground_of(lines, count, style))


def strokes_in(line: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ticks and the bands of the strokes of a drum's cells (T,), in order."""
    found = [
        (cell * CELL + tick, (value - 1) % BANDS)
        for cell, value in enumerate(line.tolist())
        if SILENCE < value < VALUES
        for tick in STROKES[(value - 1) // BANDS]
    ]
    ticks, bands = np.array(found, np.int64).reshape(-1, 2).T
    return ticks, bands


def divided() -> tuple[Bools, Bools]:
    """The values (BEAT, VALUES) that stand in beats divided by two, and in those divided by three, cell by cell."""
    straight, triplet = (np.zeros((BEAT, VALUES), bool) for _ in range(2))
    straight[:, SILENCE] = triplet[:, SILENCE] = True
    for cell in range(BEAT):
        for kind, ticks in enumerate(STROKES):
            values = slice(1 + kind * BANDS, 1 + (kind + 1) * BANDS)
            straight[cell, values] = all(tick % (CELL // 2) == 0 for tick in ticks)
            triplet[cell, values] = all((cell * CELL + tick) % 4 == 0 for tick in ticks)
    return straight, triplet


def _as_it_is(cells: Cells, semitones: int) -> Cells:
    return cells


HITS = GridKind(VALUES, grid_of, _as_it_is)

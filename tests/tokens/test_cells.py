"""The grid of cells: a score goes there and back, transposes, and is cut with what lies around it."""

import numpy as np
import pytest
from symusic import Note, TimeSignature, Track

from melody.music.score import GRID, Notes, Score, notes_of
from melody.tokens.cells import (
    BEGINS,
    CELL,
    LOWEST,
    OUTSIDE,
    REST,
    SOUNDS,
    cut,
    grid_of,
    line_of,
    notes_in,
    sounding,
    transposed,
)


def voice(*notes: tuple[int, int, int]) -> Notes:
    """Notes of (onset, duration, pitch), the first two in sixteenths."""
    rows = np.array(notes, np.int64).reshape(-1, 3)
    return Notes(rows[:, 0] * CELL, rows[:, 1] * CELL, rows[:, 2], np.full(len(rows), 80))


def rows(notes: Notes) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in zip(*notes, strict=True)]


def test_a_line_goes_to_cells_and_back() -> None:
    notes = voice((0, 4, 60), (4, 1, 60), (6, 2, 67), (8, 1, 36))
    line = line_of(notes, 10)
    one, fifth, low = 60 - LOWEST, 67 - LOWEST, 36 - LOWEST
    assert line.tolist() == [
        *(BEGINS + one, SOUNDS + one, SOUNDS + one, SOUNDS + one, BEGINS + one, REST),
        *(BEGINS + fifth, SOUNDS + fifth, BEGINS + low, REST),
    ]
    assert rows(notes_in(line, 80)) == rows(notes)
    assert sounding(line[:, None])[:, 0].tolist() == [60, 60, 60, 60, 60, -1, 67, 67, 36, -1]


def test_a_note_cuts_the_one_under_way() -> None:
    line = line_of(voice((0, 8, 60), (2, 2, 64)), 8)
    assert rows(notes_in(line, 80)) == rows(voice((0, 2, 60), (2, 2, 64)))


def test_notes_off_the_grid_move_to_the_nearest_sixteenth_and_keep_a_cell() -> None:
    line = line_of(Notes(*(np.array([value]) for value in (4, 2, 60, 80))), 4)
    assert rows(notes_in(line, 80)) == [(CELL, CELL, 60, 80)]


def test_transposing_moves_what_sounds_and_nothing_else() -> None:
    line = line_of(voice((0, 2, 60), (3, 1, 62)), 4)[:, None]
    assert sounding(transposed(line, 5))[:, 0].tolist() == [65, 65, -1, 67]
    assert (transposed(transposed(line, 5), -5) == line).all()
    assert transposed(np.array([[OUTSIDE]]), 3).tolist() == [[OUTSIDE]]


@pytest.fixture
def grid():
    score = Score(GRID)
    score.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(GRID, 3, 4)]
    track = Track("", 0, False)
    track.notes.extend([Note(beat * GRID, GRID, 60 + beat, 80) for beat in range(7)])
    score.tracks.append(track)
    return grid_of(score, style=2)


def test_the_ground_tells_place_and_length_of_the_bar(grid) -> None:
    assert grid.ground[:4].tolist() == [[place, 4, 2] for place in range(4)]
    assert grid.ground[4:16].tolist() == [[place, 12, 2] for place in range(12)]
    assert len(grid.cells) == 28


def test_a_cut_shows_what_lies_outside(grid) -> None:
    cells, ground = cut(grid.cells, grid.ground, -2, 36)
    assert (cells[:2] == OUTSIDE).all()
    assert (cells[2:30] == grid.cells).all()
    assert (cells[30:] == OUTSIDE).all()
    assert ground[:2, 0].tolist() == [2, 3]  # of a bar like the first one
    assert ground[30:, 0].tolist() == [0, 1, 2, 3, 4, 5]  # of one like the last one


def test_the_notes_of_a_track_are_those_of_its_cells(grid) -> None:
    track = Track("", 0, False)
    track.notes.extend([Note(beat * GRID, GRID, 60 + beat, 80) for beat in range(7)])
    assert rows(notes_in(grid.cells[:, 0], 80)) == rows(notes_of(track))


def test_a_last_note_ends_where_the_piece_does() -> None:
    line = np.concatenate([line_of(voice((0, 4, 60)), 4), [OUTSIDE, OUTSIDE]])
    assert rows(notes_in(line, 80)) == rows(voice((0, 4, 60)))

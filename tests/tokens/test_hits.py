"""Hits: a kit's strokes come back from their cells where they stood, and a beat is divided by two or by three."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.made_music import one_track, score_of

from melody.music.score import GRID, Notes, resample
from melody.tokens.cells import CELL
from melody.tokens.hits import BANDS, BEAT, HITS, KIT, LOUDER, SILENCE, STROKES, VALUES, divided, hits_of, strokes_in

CELLS = 16
STRAIGHT, TRIPLET = [0, 3, 6, 9, 12, 15, 18, 21], [0, 4, 8, 12, 16, 20]


@st.composite
def grooves(draw: st.DrawFn) -> Notes:
    """Strokes of a bar whose beats are divided by two or by three."""
    rows = []
    for beat in range(4):
        ticks = draw(st.sampled_from([STRAIGHT, TRIPLET]))
        for pitch in draw(st.lists(st.sampled_from(KIT), unique=True, max_size=4)):
            for tick in draw(st.lists(st.sampled_from(ticks), unique=True, max_size=6)):
                rows.append((24 * beat + tick, CELL, pitch, draw(st.integers(1, 127))))
    return Notes(*np.array(sorted(rows), np.int64).reshape(-1, 4).T)


@given(grooves())
def test_strokes_come_back_where_they_stood(notes: Notes) -> None:
    cells = hits_of(notes, CELLS)
    straight, triplet = divided()
    for drum, pitch in enumerate(KIT):
        own = notes.take(notes.pitch == pitch)
        ticks, bands = strokes_in(cells[:, drum])
        assert ticks.tolist() == own.onset.tolist()
        first = np.unique(own.onset // CELL, return_index=True)[1]
        loudest = np.maximum.reduceat(own.velocity, first) if len(first) else own.velocity
        expected = np.repeat(np.searchsorted(LOUDER, loudest, side="right"), np.diff(first, append=len(own.onset)))
        assert bands.tolist() == expected.tolist()
    at = np.arange(CELLS) % BEAT
    fits = [side[at[:, None], cells].all(axis=1).reshape(-1, BEAT).all(axis=1) for side in (straight, triplet)]
    assert (fits[0] | fits[1]).all()


def test_a_beat_divided_by_two_has_no_stroke_of_one_divided_by_three() -> None:
    straight, triplet = divided()
    both = straight & triplet
    plain = slice(1, 1 + BANDS)  # strokes on the sixteenth
    assert both[:, SILENCE].all()
    assert [bool(row[plain].all()) for row in both] == [True, False, True, False]
    assert not both[:, 1 + BANDS :].any()
    assert not (straight | triplet)[1, 1 + BANDS * STROKES.index((4,)) :][:BANDS].any()  # no beat has its tenth tick


def test_what_is_no_drum_of_the_kit_is_left_out_and_odd_ticks_move() -> None:
    notes = Notes(*np.array([(1, 6, 36, 100), (5, 6, 38, 20), (6, 6, 56, 100), (200, 6, 36, 100)], np.int64).T)
    cells = hits_of(notes, CELLS)
    assert np.argwhere(cells).tolist() == [[0, KIT.index(36)], [0, KIT.index(38)]]
    assert [strokes_in(cells[:, KIT.index(pitch)])[0].tolist() for pitch in (36, 38)] == [[0], [4]]


def test_a_score_of_drums_has_a_grid_of_its_bars() -> None:
    grid = HITS.grid_of(resample(score_of(one_track([0, 480, 1240], [36, 38, 42], drums=True)), GRID), 1)
    assert grid.cells.shape == (len(grid.ground), len(KIT))
    assert (grid.cells > SILENCE).sum() == 3
    assert grid.cells.max() < VALUES == HITS.hidden == HITS.outside - 1
    assert (grid.ground[:, 2] == 1).all()

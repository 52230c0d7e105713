"""Lines of hidden cells: whole notes that keep what stands around them, drawn as likely as they are."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from symusic import Note, Track

from melody.generation.decoders.lines import PITCHES, draw_line, parallels_to, state_after
from melody.music.score import GRID, Score, notes_of
from melody.music.voice_leading import parallels, slices
from melody.tokens.cells import BEGINS, CELL, HIDDEN, LOWEST, REST, SOUNDS, VALUES, line_of, notes_in

A, B = 60 - LOWEST, 62 - LOWEST


def is_whole(line: np.ndarray) -> bool:
    """Tell if each cell that sounds on follows one of its pitch."""
    after = [state_after(int(cell)) for cell in line]
    return all(cell < SOUNDS or before == cell - SOUNDS for before, cell in zip(after, line[1:].tolist(), strict=False))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_weights_notes_are_whole_and_what_is_kept_stays(seed: int) -> None:
    generator = np.random.default_rng(seed)
    kept = line_of(notes_in(np.array([BEGINS + A, SOUNDS + A, BEGINS + B, SOUNDS + B, REST, BEGINS + A] * 4), 80), 24)
    hidden = generator.random(24) < 0.6
    hidden[0] = False
    line = draw_line(
        np.where(hidden, HIDDEN, kept), hidden, generator.random((24, VALUES)) ** 8, [None] * 24, generator.random
    )
    assert line is not None
    assert (line[~hidden] == kept[~hidden]).all()
    assert is_whole(line)


def test_lines_come_as_often_as_their_weights_say() -> None:
    """Against all lines of three cells between kept ones, whose weights are multiplied and made to sum to 1."""
    generator = np.random.default_rng(3)
    values = [REST, BEGINS + A, SOUNDS + A, BEGINS + B, SOUNDS + B]
    weights = np.zeros((5, VALUES))
    weights[:, values] = generator.random((5, len(values)))
    start, end = BEGINS + A, SOUNDS + B
    masses = {}
    for middle in product(values, repeat=3):
        if is_whole(np.array([start, *middle, end])):
            masses[middle] = float(np.prod([weights[1 + place, cell] for place, cell in enumerate(middle)]))
    hidden = np.array([False, True, True, True, False])
    line = np.array([start, HIDDEN, HIDDEN, HIDDEN, end])
    draws = 4000
    found = Counter(
        tuple(draw_line(line, hidden, weights, [None] * 5, generator.random)[1:4].tolist()) for _ in range(draws)
    )
    assert found.keys() <= masses.keys()
    for middle, mass in masses.items():
        chance = mass / sum(masses.values())
        assert abs(found[middle] / draws - chance) < 5 * (chance * (1 - chance) / draws) ** 0.5 + 1e-3


def test_where_nothing_fits_there_is_no_line() -> None:
    weights = np.zeros((3, VALUES))
    weights[:, BEGINS + A] = 1
    line = np.array([BEGINS + A, HIDDEN, SOUNDS + B])
    assert draw_line(line, np.array([False, True, False]), weights, [None] * 3, lambda: 0.5) is None


@pytest.mark.parametrize("seed", range(8))
def test_no_line_makes_parallels_to_voices_that_are_known(seed: int) -> None:
    generator = np.random.default_rng(seed)
    length = 24
    steps = [line_of(_beats(generator, low), length) for low in (67, 48)]
    hidden = np.arange(length) > 0
    hidden[20:] = False
    own = np.where(hidden, HIDDEN, line_of(_beats(generator, 58), length))
    forbidden = parallels_to(np.stack(steps, axis=1), [True, False])
    weights = np.zeros((length, VALUES))
    weights[:, REST] = 1e-6
    weights[::4, BEGINS + 52 - LOWEST : BEGINS + 66 - LOWEST] = 1
    weights[:, SOUNDS : SOUNDS + PITCHES] = 1e-3
    line = draw_line(own, hidden, weights, forbidden, generator.random)
    assert line is not None
    score = Score(GRID)
    for one in (steps[0], line, steps[1]):
        track = Track("", 0, False)
        track.notes.extend([Note(*map(int, row)) for row in zip(*notes_in(one, 80), strict=True)])
        score.tracks.append(track)
    middle = [
        found for found in parallels(slices([notes_of(track) for track in score.tracks])) if found.tick < 21 * CELL
    ]
    assert not [found for found in middle if 1 in (found.upper, found.lower)]


def _beats(generator: np.random.Generator, low: int):
    """A voice of quarters."""
    line = np.repeat(BEGINS + low - LOWEST + generator.integers(0, 8, 6), 4)
    line[np.arange(24) % 4 > 0] += SOUNDS - BEGINS
    return notes_in(line, 80)

"""A blues goes on with its next chorus."""

from collections.abc import Sequence

import pytest
from support.primers import part, primer

from melody.generation import Composer
from melody.generation.chorus import is_blues
from melody.music.chords import parse_chord
from melody.music.score import Score, clip, notes_of

BLUES = (0, 0, 0, 0, 5, 5, 0, 0, 7, 5, 0, 7)
RATHER_JAZZ = (0, 5, 0, 0, 5, 6, 0, 9, 2, 7, 4, 2)
SONG = (0, 7, 9, 5) * 3


def steps(roots: Sequence[int], tonic: int = 9) -> list[list[tuple[int, int]]]:
    """Chords of bars, two a bar: chord and bass as `melody.tokens.harmony` numbers them."""
    return [[((tonic + root) % 12 + 1, (tonic + root) % 12 + 1)] * 2 for root in roots]


def played(roots: Sequence[int]) -> Score:
    """A left hand with root and fifth, and a right hand with the seventh chord, a beat each, twice over."""
    low = [(33 + root, 40 + root) for root in roots for _ in range(4)]
    high = [(57 + root, 61 + root, 67 + root) for root in roots for _ in range(4)]
    return primer(part("Left", low), part("Right", high))


@pytest.mark.parametrize("roots", [BLUES, RATHER_JAZZ])
@pytest.mark.parametrize("tonic", [0, 4, 11])
def test_a_blues_is_known_in_every_key(roots: tuple[int, ...], tonic: int) -> None:
    assert is_blues(steps(roots, tonic))


def test_other_chords_and_other_lengths_are_no_blues() -> None:
    assert not is_blues(steps(SONG))
    assert not is_blues(steps(BLUES[1:] + BLUES[:1]))
    assert not is_blues(steps(BLUES[:8]))
    assert not is_blues([[(0, 0)] * 2] * 12)  # no chords
    assert not is_blues([])


def test_the_bass_of_an_upper_part_counts() -> None:
    found = steps(BLUES)
    found[6] = [((9 + 9) % 12 + 1, 9 + 1)] * 2  # F#m7 over A sounds as A6
    assert is_blues(found)


def roots_of(given: Score, bars: int, seed: int) -> list[int]:
    """The roots of the planned chords with which the new bars begin."""
    (take,) = Composer("band").compose(given, bars=bars, seed=seed)
    return [parse_chord(bar.split()[0]).root for bar in take.settings["harmony"].split(" | ")]


@pytest.mark.parametrize("seed", range(3))
def test_behind_a_chorus_comes_the_next_one(seed: int) -> None:
    assert roots_of(clip(played(BLUES), 0, 12), 14, seed) == [(9 + root) % 12 for root in (*BLUES, *BLUES[:2])]


def test_a_song_goes_on_as_it_likes() -> None:
    assert len({tuple(roots_of(clip(played(SONG), 0, 12), 12, seed)) for seed in range(4)}) > 1


def test_chords_that_are_asked_for_are_played_as_the_primer_played_them() -> None:
    given = clip(played(SONG), 0, 12)
    again = bars = 0
    for take in Composer("band").compose(given, bars=8, takes=6, seed=1, chords="A D A E"):
        low = notes_of(take.score.tracks[0])
        for bar, root in enumerate((0, 5, 0, 7, 0, 5, 0, 7), 12):
            again += set(low.pitch[low.onset // (4 * 480) == bar].tolist()) == {33 + root, 40 + root}
            bars += 1
    assert again > bars / 2

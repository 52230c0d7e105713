"""Music is heard as it was built, and as an expert hears it."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from music21 import corpus
from music21.roman import RomanNumeral
from symusic import Note, TimeSignature, Track

from melody.corpus.chorale import read_chorale
from melody.music.chords import QUALITIES, Chord, Span, parse_chord
from melody.music.heard_chords import chord_tones_on_strong_beats, heard
from melody.music.quantize import quantize
from melody.music.score import GRID, Notes, Score, bars, notes_of

ROOTS, PLACES = range(12), range(len(QUALITIES))
CHORDS = st.builds(Chord, st.sampled_from(ROOTS), st.sampled_from(PLACES), st.sampled_from(ROOTS))


def sound(*notes: tuple[int, int, int]) -> Notes:
    """Notes from (onset, duration, pitch)."""
    rows = np.array(notes, np.int64).reshape(-1, 3)
    return Notes(rows[:, 0], rows[:, 1], rows[:, 2], np.full(len(rows), 80))


def named(notes: Notes, *edges: int) -> list[str]:
    return [
        Chord((value - 1) % 12, (value - 1) // 12, bass - 1).name if value else "-"
        for value, bass in heard(notes, np.array(edges)).tolist()
    ]


INVERSIONS = [
    (quality, step)
    for quality, (_, suffix, intervals) in enumerate(QUALITIES)
    for step in intervals
    if step == 0 or suffix not in ("aug", "dim7")  # whose inversions are chords of their own
]


@pytest.mark.parametrize("root", ROOTS)
def test_every_chord_and_inversion_is_heard(root: int):
    chords = [Chord(root, quality, (root + step) % 12) for quality, step in INVERSIONS]
    notes = [
        (GRID * beat, GRID, pitch)
        for beat, chord in enumerate(chords)
        for pitch in (36 + chord.bass, *(60 + pitch_class for pitch_class in chord.classes))
    ]
    edges = GRID * np.arange(len(chords) + 1)
    assert heard(sound(*notes), edges).tolist() == [[chord.value, 1 + chord.bass] for chord in chords]


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("C", [(0, 24, 48), (0, 12, 64), (12, 12, 65), (0, 24, 67)]),  # a passing note
        ("C", [(0, 12, 48), (12, 12, 47), (0, 24, 64), (0, 24, 67), (0, 24, 72)]),  # in the bass
        ("C", [(0, 24, 48), (0, 12, 65), (12, 12, 64), (0, 24, 67), (0, 24, 72)]),  # a suspension and its resolution
        ("G7", [(0, 24, 43), (0, 24, 59), (0, 24, 65)]),  # without its fifth
        ("C", [(0, 24, 48), (0, 24, 52)]),
        ("C", [(0, 6, 36), (6, 6, 52), (12, 6, 55), (18, 6, 52)]),  # broken
        ("C", [(0, 6, 48), (6, 6, 55), (12, 6, 52), (18, 6, 55)]),
        ("C/E", [(-10, 200, 52), (-5, 40, 60), (20, 90, 67)]),  # notes that go beyond the segment
        ("-", [(0, 24, 48), (0, 24, 60)]),  # one pitch class
        ("-", [(0, 24, 48), (0, 24, 55)]),  # a bare fifth
        ("-", [(0, 24, 48), (0, 24, 49), (0, 24, 50), (0, 24, 51)]),  # a cluster
        ("-", [(24, 24, 48), (24, 24, 52), (-24, 24, 55)]),  # all of it elsewhere
        ("-", []),
    ],
)
def test_a_segment_is_heard_as_a_musician_would(name: str, notes: list[tuple[int, int, int]]):
    assert named(sound(*notes), 0, 24) == [name]


def test_no_segments_and_no_notes_are_no_trouble():
    assert heard(sound(), np.array([0])).shape == (0, 2)
    assert heard(sound((0, 24, 60)), np.array([0])).shape == (0, 2)
    assert heard(sound(), np.array([0, 24, 48])).tolist() == [[0, 0], [0, 0]]


MUSIC = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 60), st.integers(36, 84)), max_size=12)


@given(MUSIC, st.integers(-24, 24), st.lists(st.integers(0, 110), min_size=2, max_size=6, unique=True))
def test_music_and_its_transposition_are_heard_alike(music: list[tuple[int, int, int]], shift: int, edges: list[int]):
    here = heard(sound(*music), np.array(sorted(edges)))
    there = heard(sound(*((onset, length, pitch + shift) for onset, length, pitch in music)), np.array(sorted(edges)))
    value, bass = here.T.astype(int)
    moved = np.stack([1 + (value - 1) // 12 * 12 + (value - 1 + shift) % 12, 1 + (bass - 1 + shift) % 12], axis=1)
    assert there.tolist() == (moved * (here > 0)).tolist()


@given(MUSIC, st.randoms(use_true_random=False))
def test_the_order_of_notes_does_not_matter(music: list[tuple[int, int, int]], random):
    shuffled = random.sample(music, len(music))
    edges = np.array([0, 24, 60, 100])
    assert heard(sound(*music), edges).tolist() == heard(sound(*shuffled), edges).tolist()


def chorale(name: str) -> tuple[Score, Notes]:
    score = quantize(read_chorale(f"bach/{name}.mxl"))
    return score, Notes(*map(np.concatenate, zip(*map(notes_of, score.tracks), strict=True)))


def test_a_chorale_is_heard():
    _, notes = chorale("bwv269")
    assert named(notes, *range(0, 9 * GRID, GRID)) == ["G", "G", "Em", "D/F#", "G", "D", "Em", "C"]


@pytest.mark.parametrize(("name", "analysis"), [("bwv40.8", "008"), ("bwv65.2", "012")])
def test_chorales_are_heard_as_an_expert_hears_them(name: str, analysis: str):
    _, notes = chorale(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = corpus.parse(f"bach/choraleAnalyses/riemenschneider{analysis}.rntxt")
    expert = [
        (round(GRID * numeral.getOffsetInHierarchy(stream)), numeral.root().pitchClass)
        for numeral in stream[RomanNumeral]
    ]
    onsets = [onset for onset, _ in expert]
    edges = np.arange(0, onsets[-1], GRID)
    roots = np.array([root for _, root in expert])[np.searchsorted(onsets, edges[:-1], side="right") - 1]
    assert np.mean((heard(notes, edges)[:, 0] - 1) % 12 == roots) >= 0.9


def test_the_chords_heard_in_a_chorale_hold_its_notes():
    score, notes = chorale("bwv302")
    edges = np.arange(0, bars(score)[-1] + 1, GRID)
    chords = [Chord((v - 1) % 12, (v - 1) // 12, b - 1) if v else None for v, b in heard(notes, edges).tolist()]
    fitting, total = chord_tones_on_strong_beats(score, [*map(Span, edges[:-1].tolist(), chords)])
    assert fitting >= 0.95 * total > 150
    wrong = [Span(start, chord.transposed(1) if chord else None) for start, chord in zip(edges, chords, strict=False)]
    fitting, total = chord_tones_on_strong_beats(score, wrong)
    assert fitting < 0.3 * total


# ---- chord tones ----------------------------------------------------------------------------------------------------


def measured(meter: tuple[int, int], notes: list[tuple[int, int, int]], chords: list[Span], start: int = 0):
    score = Score(GRID)
    score.time_signatures = [TimeSignature(0, *meter)]
    score.tracks = [Track("", 0, False), Track("", 0, True)]
    score.tracks[0].notes.extend([Note(*note, 80) for note in notes])
    score.tracks[1].notes.append(Note(0, 24, 37, 80))
    assert bars(score)[1] == GRID * 4 * meter[0] // meter[1]
    return chord_tones_on_strong_beats(score, chords, start)


def test_notes_that_sound_on_strong_beats_count():
    c, d = parse_chord("C"), parse_chord("Dm")
    quarters = [(GRID * beat, GRID, 60 + beat) for beat in range(8)]  # C C# D D# | E F F# G
    assert measured((4, 4), quarters, [Span(0, c)]) == (2, 4)  # C and E, not D and F#
    assert measured((4, 4), quarters, [Span(0, c)], 96) == (1, 2)
    assert measured((2, 4), quarters, [Span(0, c)]) == (2, 4)
    assert measured((3, 4), quarters, [Span(0, c)]) == (1, 3)  # C, D#, F#
    assert measured((4, 4), quarters, [Span(0, c), Span(48, d)]) == (2, 4)  # C and D
    assert measured((4, 4), quarters, [Span(24, d), Span(120, c)]) == (1, 5)  # D; C#, E, F, F# do not fit
    assert measured((4, 4), quarters, [Span(0, c), Span(48, None)]) == (1, 1)
    assert measured((4, 4), quarters, []) == (0, 0)
    assert measured((4, 4), [(0, 192, 64), (90, 100, 67)], [Span(0, c)]) == (6, 6)  # held notes count each time

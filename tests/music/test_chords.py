"""Chords: symbols are read as they are written, progressions fill bars, and music is heard as it was built."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from music21 import corpus
from music21.roman import RomanNumeral
from symusic import Note, TextMeta, TimeSignature, Track

from melody.corpus.chorale import read_chorale
from melody.errors import UsageError
from melody.music.chords import (
    QUALITIES,
    VALUES,
    Chord,
    Progression,
    Span,
    chord_tones_on_strong_beats,
    heard,
    laid_out,
    markers_as_chords,
    parse_chord,
    parse_progression,
)
from melody.music.quantize import quantize
from melody.music.score import GRID, Notes, Score, bars, notes_of

ROOTS, PLACES = range(12), range(len(QUALITIES))
CHORDS = st.builds(Chord, st.sampled_from(ROOTS), st.sampled_from(PLACES), st.sampled_from(ROOTS))
SPELLINGS = {  # canonical name: what means the same, or is reduced to it
    "C": "C Cmaj CM Cmajor C6 C69 C6/9 Cadd9 C5 C2 Cno3 C(add9) B# Dbb",
    "Am": "Am A- Amin Amin Ami Aminor Am6 Amadd9 AmMaj7 Am7M Am(maj7) AmΔ A-Δ7 AmM7 Am6/9",
    "C7": "C7 Cdom7 C9 C11 C13 C7b9 C7#9 C7(b9,#11) C13#11 Calt C7alt C7b5 C9b5 C7♭9 C7add13",
    "Cmaj7": "Cmaj7 CM7 CΔ CΔ7 Cma7 CMaj7 CMAJ7 Cmaj9 CM9 Cmaj13 C7M C△7 Cmaj7#11",
    "Cm7": "Cm7 C-7 Cmin7 Cm9 Cm11 Cm13 Cmin9 CMIN7 Cm7add11",
    "Cdim": "Cdim C° Co Cº Cmb5 Cm(b5)",
    "Bm7b5": "Bm7b5 Bø Bø7 BØ7 Bm7-5 Bm7(b5) B-7b5 Bm7♭5 Bm9b5",
    "Cdim7": "Cdim7 C°7 Co7",
    "Caug": "Caug C+ C+7 C7#5 Caug7 C7+5 Cmaj7#5 C(#5)",
    "Csus4": "Csus4 Csus C4 C7sus4 C9sus4 C7sus C7b9sus4 C13sus4",
    "Gsus4/C": "Csus2 C9sus2",
    "D/F#": "D/F# D/F♯ D/Gb D6/F#",
    "F#m7b5/C": "F#m7b5/C F♯ø/C Gbm7b5/C",
    "Bb7": "Bb7 B♭7 A#9",
    "G/Bb": "G/Bb G/A#",
    "Dm/C#": "Dm/C# Dm/Db",
    "C/E": "C/E C6/9/E",
}
READINGS = [(name, text) for name, texts in SPELLINGS.items() for text in texts.split()]


@pytest.mark.parametrize(("name", "text"), READINGS)
def test_every_usual_spelling_is_read(name: str, text: str):
    assert parse_chord(text) == parse_chord(name)
    assert parse_chord(text).name == name


@pytest.mark.parametrize(
    ("text", "classes", "bass"),
    [
        ("Am", {9, 0, 4}, 9),
        ("F#m7b5/C", {6, 9, 0, 4}, 0),
        ("C/D", {0, 2, 4, 7}, 2),
        ("Ebmaj7", {3, 7, 10, 2}, 3),
        ("G#dim7", {8, 11, 2, 5}, 8),
        ("Csus2", {0, 2, 7}, 0),
        ("C6/9/E", {0, 4, 7}, 4),
        ("Faug", {5, 9, 1}, 5),
    ],
)
def test_a_chord_has_the_notes_a_musician_plays(text: str, classes: set[int], bass: int):
    chord = parse_chord(text)
    assert (chord.classes, chord.bass) == (classes, bass)


@given(CHORDS)
def test_a_name_is_read_back(chord: Chord):
    assert parse_chord(chord.name) == chord


@given(CHORDS, st.integers(-24, 24))
def test_transposition_moves_all_of_a_chord(chord: Chord, semitones: int):
    moved = chord.transposed(semitones)
    assert moved.classes == {(pitch_class + semitones) % 12 for pitch_class in chord.classes}
    assert moved.transposed(-semitones) == chord


def test_values_tell_root_and_quality_apart():
    values = [Chord(root, quality, 0).value for quality in PLACES for root in ROOTS]
    assert values == list(range(1, VALUES))


@pytest.mark.parametrize("text", ["H7", "", "am", "Xm", "7", "/C", "Cfoo", "Cm7b5x", "C/H", "C/", "Cmaj7/9", "C:", "%"])
def test_what_is_no_chord_is_refused_in_one_line(text: str):
    with pytest.raises(UsageError, match=r"^chord '[^\n]*'.*write[^\n]*$"):
        parse_chord(text)


# ---- progressions ---------------------------------------------------------------------------------------------------


def plan(text: str, lines: list[int], beat: int = GRID) -> list[tuple[int, str]]:
    """(tick, name) of each chord of a progression on bars."""
    spans = laid_out(parse_progression(text), np.array(lines), beat)
    return [(span.start, span.chord.name if span.chord else "N.C.") for span in spans]


FOUR = [0, 96, 192, 288, 384]  # bar lines of 4/4
THREE = [0, 72, 144, 216]  # of 3/4, and of 6/8


@pytest.mark.parametrize(
    ("text", "lines", "beat", "expected"),
    [
        ("Am F C G", FOUR, 24, [(0, "Am"), (96, "F"), (192, "C"), (288, "G")]),
        ("Am F", FOUR, 24, [(0, "Am"), (96, "F"), (192, "Am"), (288, "F")]),
        ("Am F | C", FOUR[:3], 24, [(0, "Am"), (48, "F"), (96, "C")]),
        ("| C D E |", FOUR[:2], 24, [(0, "C"), (32, "D"), (64, "E")]),
        ("Am:3 F:1 G", FOUR[:3], 24, [(0, "Am"), (72, "F"), (96, "G")]),
        ("Am:3 F:1 | G", THREE, 24, [(0, "Am"), (72, "F"), (144, "G")]),  # a beat into the next bar, and holds on
        ("Am:1 F:1", FOUR[:3], 24, [(0, "Am"), (24, "F"), (96, "Am"), (120, "F")]),
        ("C:8 G:4", FOUR, 24, [(0, "C"), (192, "G"), (288, "C")]),
        ("Am:3 F:3", THREE[:3], 12, [(0, "Am"), (36, "F"), (72, "Am"), (108, "F")]),  # 6/8
        ("Am F", THREE[:3], 12, [(0, "Am"), (72, "F")]),
        ("| Am F |", THREE[:2], 24, [(0, "Am"), (36, "F")]),
        ("| Am:1 F G:1 |", FOUR[:2], 24, [(0, "Am"), (24, "F"), (72, "G")]),
        ("| Am:4 F |", FOUR[:3], 24, [(0, "Am"), (96, "F")]),  # nothing is left in the bar, so F has the next
        ("Am:3/2 F:2.5", FOUR[:2], 24, [(0, "Am"), (36, "F")]),
        ("C % G", FOUR[:4], 24, [(0, "C"), (96, "C"), (192, "G")]),
        ("| C F | % |", FOUR[:3], 24, [(0, "C"), (48, "F"), (96, "C"), (144, "F")]),
        ("| C % F % |", FOUR[:2], 24, [(0, "C"), (24, "C"), (48, "F"), (72, "F")]),
        ("C nc G N.C.", FOUR, 24, [(0, "C"), (96, "N.C."), (192, "G"), (288, "N.C.")]),
        ("Am, F; C", FOUR[:4], 24, [(0, "Am"), (96, "F"), (192, "C")]),
        ("Am - F – C", FOUR[:4], 24, [(0, "Am"), (96, "F"), (192, "C")]),
        ("Am F", [0, 24, 120], 24, [(0, "Am"), (24, "F")]),  # a pickup is a bar
    ],
)
def test_a_progression_fills_bars(text: str, lines: list[int], beat: int, expected: list[tuple[int, str]]):
    assert plan(text, lines, beat) == expected


def test_beats_may_differ_from_bar_to_bar():
    spans = laid_out(parse_progression("C:2 G:2"), np.array([0, 96, 144]), np.array([24, 12]))
    assert [span.start for span in spans] == [0, 48, 96, 120]


STEPS = st.tuples(st.none() | CHORDS, st.none() | st.fractions(Fraction(1, 16), 12, max_denominator=16))
PROGRESSIONS = st.builds(
    lambda groups: Progression(tuple(map(tuple, groups))),
    st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=4),
)


@given(PROGRESSIONS)
def test_a_progression_survives_its_text(progression: Progression):
    assert parse_progression(str(progression)) == progression


@given(PROGRESSIONS, st.lists(st.sampled_from((24, 48, 72, 96)), min_size=1, max_size=9))
def test_all_bars_have_a_chord(progression: Progression, lengths: list[int]):
    lines = np.cumsum([0, *lengths])
    starts = [span.start for span in laid_out(progression, lines, 24)]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] < lines[-1]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no chord in it"),
        (" | | ", "no chord in it"),
        ("% Am", "'%'"),
        ("Am H7", "'H7'"),
        ("Am:0", "'0'"),
        ("Am:x F", "'x'"),
        ("Am:", "''"),
        ("Am:1e9", "'1e9'"),
        ("Am:1/0", "'1/0'"),
        (":4", "''"),
        ("|: Am F :|", "''"),
    ],
)
def test_a_progression_that_cannot_be_read_is_refused(text: str, named: str):
    with pytest.raises(UsageError) as caught:
        parse_progression(text)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- markers --------------------------------------------------------------------------------------------------------


def marked(*texts: str) -> list[Span]:
    score = Score(480)
    score.markers = [TextMeta(1920 * bar, text) for bar, text in enumerate(texts)]
    return markers_as_chords(score)


def test_markers_that_are_chords_are_read():
    am, g = parse_chord("Am"), parse_chord("G/B")
    assert marked("Am", " G/B ", "N.C.") == [Span(0, am), Span(1920, g), Span(3840, None)]
    assert marked("Am", "Chorus", "G/B") == [Span(0, am), Span(3840, g)]


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("A", "B", "C"),
        ("A", "A", "B", "A"),
        ("A1", "A2", "B1", "B2"),
        ("Intro", "A", "B", "Coda"),
        ("Verse", "Chorus", "Am"),
    ],
)
def test_rehearsal_marks_are_no_chords(texts: tuple[str, ...]):
    assert marked(*texts) == []


# ---- heard in music -------------------------------------------------------------------------------------------------


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

"""Chord symbols are read as they are written, and have the notes a musician plays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody.errors import UsageError
from melody.music.chords import QUALITIES, VALUES, Chord, parse_chord

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

"""Keys: names and numbers agree, and the estimate finds the key of real and of tiny music."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic import Note, Track

from melody.errors import UsageError
from melody.music.key import MODES, Key, estimate_key, final_chord, key_of_signature, key_scores, parse_key
from melody.music.score import GRID, Score, transpose

KEYS = [Key(tonic, mode) for mode in MODES for tonic in range(12)]
HOME_KEYS = {  # by the expert analyses of music21's corpus; the last three end on the dominant
    "bwv269": "G major",
    "bwv281": "F major",
    "bwv302": "D major",
    "bwv33.6": "A minor",
    "bwv351": "G minor",
    "bwv66.6": "F# minor",
    "bwv153.1": "A minor",
    "bwv38.6": "A minor",
    "bwv311": "B minor",
}


def chords(*pitches: tuple[int, ...], quarters: int = 1) -> Score:
    """Chords of one length, one after the other, on one track."""
    score = Score(GRID)
    track = Track("")
    for index, chord in enumerate(pitches):
        for pitch in chord:
            track.notes.append(Note(index * quarters * GRID, quarters * GRID, pitch, 80))
    score.tracks.append(track)
    return score


@pytest.mark.parametrize(
    ("text", "tonic", "mode"),
    [
        ("E minor", 4, "minor"),
        ("Em", 4, "minor"),
        ("em", 4, "minor"),
        ("e", 4, "major"),
        ("Bb", 10, "major"),
        ("bb", 10, "major"),
        ("b", 11, "major"),
        ("B♭ major", 10, "major"),
        ("Bm", 11, "minor"),
        ("Bbm", 10, "minor"),
        ("F#m", 6, "minor"),
        ("F sharp minor", 6, "minor"),
        ("E-flat maj", 3, "major"),
        ("DM", 2, "major"),
        ("Cb", 11, "major"),
        ("B#", 0, "major"),
        ("a moll", 9, "minor"),
        ("  G  ", 7, "major"),
    ],
)
def test_parses_what_musicians_write(text, tonic, mode):
    assert parse_key(text) == Key(tonic, mode)


@pytest.mark.parametrize("text", ["", "H", "E minorr", "E dim", "Am7", "C/G", "E E", "4", "C###"])
def test_refuses_what_is_no_key_by_name(text):
    with pytest.raises(UsageError, match="write a letter") as caught:
        parse_key(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("key", KEYS)
def test_name_and_signature_come_back(key):
    assert parse_key(key.name) == key
    assert key_of_signature(key.signature, key.tonality) == key
    assert -7 <= key.signature <= 7


def test_spelling_has_the_fewest_accidentals():
    names = [key.name.split()[0] for key in KEYS]
    assert names[:12] == ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
    assert names[12:] == ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "Bb", "B"]


@pytest.mark.parametrize("sharps", range(-7, 8))
def test_relative_keys_share_signature_and_scale(sharps):
    major, minor = key_of_signature(sharps, 0), key_of_signature(sharps, 1)
    assert major.scale() == minor.scale()
    assert (major.tonic - minor.tonic) % 12 == 3
    assert major.signature == minor.signature == (sharps if -5 <= sharps <= 6 else sharps - 12 * np.sign(sharps))


def test_scales_of_a_minor():
    key = parse_key("Am")
    assert key.scale() == {9, 11, 0, 2, 4, 5, 7}
    assert key.scale("harmonic") == {9, 11, 0, 2, 4, 5, 8}
    assert key.scale("melodic") == {9, 11, 0, 2, 4, 5, 6, 7, 8}
    assert key.triad == {9, 0, 4}
    assert key.leading_note == 8


@pytest.mark.parametrize("key", KEYS)
def test_finds_a_cadence_in_every_key(key):
    third = 4 - key.tonality
    tonic, subdominant, dominant = (0, third, 7), (5, 5 + third, 12), (-5, -1, 2)
    score = chords(*[tuple(48 + key.tonic + p for p in c) for c in (tonic, subdominant, dominant, tonic)])
    assert estimate_key(score) == key
    assert estimate_key(score, ending=False) == key


def test_a_picardy_third_leaves_a_minor_key_minor():
    assert estimate_key(chords((57, 60, 64), (62, 65, 69), (52, 56, 59), (57, 60, 64), (57, 61, 64))) == Key(9, "minor")


def test_without_pitched_notes_it_is_c_major():
    drums = chords((38, 42))
    drums.tracks[0].is_drum = True
    for score in (Score(GRID), drums):
        assert estimate_key(score) == Key(0, "major")
        assert not key_scores(score).any()
        assert len(final_chord(score)) == 0


@given(st.lists(st.tuples(st.integers(36, 84), st.integers(36, 84)), min_size=2, max_size=20), st.integers(-12, 12))
def test_transposing_the_music_transposes_the_scores(pairs, semitones):
    score = chords(*pairs)
    expected = np.roll(key_scores(score).reshape(2, 12), semitones, axis=1).ravel()
    np.testing.assert_allclose(key_scores(transpose(score, semitones)), expected, atol=1e-12)


def test_bachs_home_keys():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from music21 import corpus
    for name, key in HOME_KEYS.items():
        score = Score(GRID)
        for part in corpus.parse(f"bach/{name}").parts:
            track = Track(part.partName or "")
            for note in part.flatten().notes:
                start, end = (round(GRID * float(q)) for q in (note.offset, note.offset + note.quarterLength))
                track.notes.append(Note(start, end - start, note.pitches[0].midi, 80))
            score.tracks.append(track)
        assert estimate_key(score).name == key, name

"""Notes at once where rules leave the model few ways on: at the end, and beside notes that are fixed."""

import numpy as np
import pytest
from symusic import Note, Tempo, TimeSignature, Track

import melody
from melody.generation import Composer
from melody.music.score import Score


@pytest.fixture(scope="module")
def pop() -> Composer:
    return melody.load("pop")


def chords_of(score: Score) -> list[list[int]]:
    """The notes of each track that begin together, for all tracks one after the other."""
    found: dict[tuple[int, int], list[int]] = {}
    for number, track in enumerate(score.tracks):
        for note in track.notes:
            found.setdefault((number, note.time), []).append(note.pitch)
    return list(found.values())


def last_chord(score: Score) -> list[int]:
    last = max(note.time for track in score.tracks for note in track.notes)
    return [note.pitch for track in score.tracks for note in track.notes if note.end > last]


@pytest.mark.parametrize("chords", ["Am F C G", "Dm Bb F C", "C Am F Gsus4", "Am E7/G#"])
def test_the_last_chord_that_is_asked_for_closes(pop: Composer, chords: str):
    for take in pop.compose(chords=chords, bars=4, meter=(4, 4), takes=3, seed=2):
        assert max(map(len, chords_of(take.score))) <= 7
        assert take.chord_tones is not None
    (held,) = melody.load("chorale").compose(chords=chords, bars=4, seed=2)
    root = {"G": 7, "C": 0, "Gsus4": 7, "E7/G#": 8}[chords.split()[-1]]
    assert min(last_chord(held.score)) % 12 == root


def tune(offset: int) -> Score:
    """Eight bars of quarters, each as far behind its beat, which end on the fourth beat."""
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=110)]
    track = Track("Lead", 0, False)
    pitches = np.resize([72, 74, 76, 74, 72, 71, 69, 71], 32).tolist()
    track.notes.extend([Note(480 * beat + offset, 360, pitch, 90) for beat, pitch in enumerate(pitches)])
    score.tracks.append(track)
    return score


@pytest.mark.parametrize("offset", [0, 140])  # on the beat, and where the training music has next to nothing
def test_what_is_composed_around_a_tune_is_no_fuller_for_it(pop: Composer, offset: int):
    theme = tune(offset)
    for take in pop.compose(theme, with_tracks="Lead", takes=3, seed=1):
        assert take.score.tracks[0].notes == theme.tracks[0].notes
        assert take.notes > 16
        assert max(map(len, chords_of(take.score))) <= 7


def test_fixed_notes_stand_where_they_stood_whichever_decoder(pop: Composer):
    theme = tune(140)
    for search in ({"beam_width": 2}, {"beam_width": 2, "stochastic": True}):
        (take,) = pop.compose(theme, with_tracks="Lead", seed=1, **search)
        assert take.score.tracks[0].notes == theme.tracks[0].notes

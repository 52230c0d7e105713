"""The shipped model when it is asked: chords, density, endings, a soprano to harmonise, a gap to fill."""

import warnings

import numpy as np
import pytest

import melody
from melody.formats.midi import check, dumps
from melody.generation import Composer, Take
from melody.music.heard_chords import chord_tones_on_strong_beats
from melody.music.key import key_of_signature
from melody.music.progressions import laid_out, parse_progression
from melody.music.score import Score, bars, clip, notes_of, set_notes
from melody.music.voice_leading import ends_on_tonic

PROGRESSIONS = ("Am F C G", "C G/B Am F", "Dm7 G7 | C", "Em C | G D", "Bb F | Gm Eb | F7 Bb")


@pytest.fixture(scope="module")
def composer() -> Composer:
    return melody.load("chorale")


@pytest.fixture(scope="module")
def chorale() -> Score:
    """A chorale that the model was not trained on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21's own
        from melody.corpus.chorale import read_chorale

        return read_chorale("bach/bwv130.6.mxl")


def chord_tones(takes: list[Take], text: str) -> float:
    """The share of all that sounds on strong beats which belongs to the chords."""
    counts = []
    for take in takes:
        spans = laid_out(parse_progression(text), bars(take.score), 480)
        counts.append(chord_tones_on_strong_beats(take.score, spans))
    fitting, strong = np.sum(counts, axis=0)
    return float(fitting / strong)


@pytest.mark.parametrize("text", PROGRESSIONS)
def test_on_strong_beats_four_in_five_are_chord_tones(composer, text: str):
    options = {"bars": 8, "takes": 6, "seed": 11, "meter": (4, 4)}
    asked = composer.compose(chords=text, **options)
    with_chords, without = chord_tones(asked, text), chord_tones(composer.compose(**options), text)
    assert with_chords >= 0.8
    assert with_chords > without + 0.25
    assert np.mean([take.chord_tones for take in asked]) == pytest.approx(with_chords, abs=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ninety_of_a_hundred_close(composer):
    takes = composer.compose(bars=16, takes=100, seed=21)
    stated = [key_of_signature(k.key, k.tonality) for k in (take.score.key_signatures[0] for take in takes)]
    assert sum(ends_on_tonic(take.score, key) for take, key in zip(takes, stated, strict=True)) >= 90


def test_low_is_calmer_than_high(composer):
    def onsets(density: str) -> float:
        takes = composer.compose(bars=6, takes=4, seed=5, density=density, ending=False)
        return float(np.mean([len(set(notes_of(t.score.tracks[v]).onset.tolist())) for t in takes for v in range(4)]))

    assert onsets("low") < onsets("medium") < onsets("high")


def test_a_soprano_gets_alto_tenor_and_bass(composer, chorale):
    soprano = clip(chorale, 0, 9)
    soprano.tracks = [soprano.tracks[0]]
    takes = composer.compose(soprano, with_tracks="Soprano", takes=4, seed=3)
    for take in takes:
        assert [track.name for track in take.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
        assert rows(take.score, 0) == rows(soprano, 0)
        heights = [notes_of(track).pitch.mean() for track in take.score.tracks]
        assert heights == sorted(heights, reverse=True)
        assert all(len(track.notes) >= 0.6 * len(take.score.tracks[0].notes) for track in take.score.tracks)
        assert check(dumps(take.score)) == []


def test_a_gap_is_filled_and_all_else_stays(composer, chorale):
    take = composer.compose(chorale, fill=(4, 6), tracks=("Alto", "Tenor"), seed=9)[0]
    lines = bars(chorale)
    for index, track in enumerate(chorale.tracks):
        inside = {row for row in rows(chorale, index) if lines[3] <= row[0] < lines[6]} if index in (1, 2) else set()
        assert rows(chorale, index) - inside <= rows(take.score, index)
        assert len(track.notes) - len(inside) < len(take.score.tracks[index].notes) or not inside
    assert check(dumps(take.score)) == []
    assert (take.candidates, take.nats_after is not None) == (4, True)


def rows(score: Score, track: int) -> set[tuple[int, ...]]:
    return set(zip(*(column.tolist() for column in notes_of(score.tracks[track])), strict=True))


def test_a_melody_alone_gets_its_rhythm_back(composer, chorale):
    theme = clip(chorale, 1, 5)
    for track in theme.tracks[1:]:
        set_notes(track, notes_of(track).take(np.zeros(0, np.int64)))
    take = composer.compose(theme, bars=4, keep="rhythm", seed=2)[0]
    notes = notes_of(take.score.tracks[0])
    given = notes_of(theme.tracks[0])
    assert (notes.onset[len(given.onset) :] - bars(theme)[-1]).tolist() == given.onset.tolist()

"""A drummer's file to a model of drums: heard as hits, whatever lengths and sounds it has, and left as it came."""

from pathlib import Path

import numpy as np
import pytest
from fakes import fake_bundle
from hypothesis import given
from hypothesis import strategies as st
from primers import primer
from symusic import Track

import melody
from melody.bundle import open_bundle
from melody.drumkit import FOLD, HIT, as_hits, folded
from melody.evaluation.likelihood import nats_per_bar
from melody.generation import Composer
from melody.generation.view import view_of
from melody.score import GRID, Notes, Score, notes_of, set_notes

BARS = 4
KICK, SNARE, HAT = 36, 38, 42


def beat(ticks: int = 120, kick: int = KICK, snare: int = SNARE, late: int = 0) -> Score:
    """Eighths on the hat over kick and snare."""
    hat = [(240 * n, HAT, 80) for n in range(8 * BARS)]
    below = [(480 * n, snare if n % 2 else kick, 100) for n in range(4 * BARS)]
    rows = [(onset + late, ticks, pitch, velocity) for onset, pitch, velocity in [*hat, *below]]
    track = Track("Kit", 0, True)
    set_notes(track, Notes(*np.array(rows, np.int64).T))
    return primer(track)


def rows(score: Score, first: int = 0, stop: int = 2**31) -> set[tuple[int, ...]]:
    """(onset, duration, pitch, velocity) of all that begins between two ticks."""
    return {
        row for row in zip(*map(np.ndarray.tolist, notes_of(score.tracks[0])), strict=True) if first <= row[0] < stop
    }


@pytest.fixture(scope="module")
def drummer() -> Composer:
    return melody.load("drums")


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 99), st.integers(0, 127), st.integers(1, 127)), min_size=1)
)
def test_hits_are_few_drums_a_sixteenth_long_and_their_own_hits(found: list[tuple[int, int, int, int]]):
    notes = Notes(*np.array(found, np.int64).T)
    hits = as_hits(notes._replace(pitch=folded(notes.pitch)))
    assert not set(hits.pitch.tolist()) & FOLD.keys()
    assert set(hits.onset.tolist()) == set(notes.onset.tolist())
    assert hits.duration.min() >= 1
    assert hits.duration.max() <= HIT
    for pitch in set(hits.pitch.tolist()):
        mine = hits.take(hits.pitch == pitch)
        assert (np.diff(mine.onset) >= mine.duration[:-1]).all()
    assert all(np.array_equal(*pair) for pair in zip(as_hits(hits), hits, strict=True))


def test_neither_lengths_nor_second_sounds_surprise_the_model(drummer: Composer):
    plain = nats_per_bar(beat(), drummer.bundle, drummer.engine)
    assert max(bar["nats per note"] for bar in plain) < 7
    for other in (beat(240), beat(10), beat(120, kick=35, snare=40)):
        assert nats_per_bar(other, drummer.bundle, drummer.engine) == plain


def test_a_hit_just_before_the_last_bar_line_makes_no_bar_more():
    score = beat(10, late=-20)
    notes = notes_of(score.tracks[0])
    set_notes(
        score.tracks[0], Notes(*(np.append(a, b) for a, b in zip(notes, (1920 * BARS - 20, 10, 38, 90), strict=True)))
    )
    view = view_of(score, open_bundle("drums"))
    assert view.bars == BARS
    assert view.ids.count(open_bundle("drums").tokenizer.vocabulary.ids["Bar"][0]) == BARS


def test_a_model_of_drums_of_other_lengths_hears_them_as_they_are(tmp_path: Path):
    view = view_of(beat(240, snare=40), fake_bundle(tmp_path, drums=True))
    heard = next(iter(view.notes.values()))
    assert set(heard.duration.tolist()) == {GRID // 2}
    assert 40 in heard.pitch


@pytest.mark.parametrize("options", [{"bars": 2}, {"fill": (2, 3)}, {"keep": "rhythm", "bars": BARS}])
def test_the_musicians_own_notes_stay_as_they_came(drummer: Composer, options: dict):
    score = beat(240, kick=35, snare=40)
    take = drummer.compose(score, seed=1, **options)[0]
    first, stop = (1920, 3 * 1920) if "fill" in options else (1920 * BARS, 2**31)
    assert rows(take.score, 0, first) == rows(score, 0, first)
    assert rows(take.score, stop) == rows(score, stop)
    new = rows(take.score, first, stop)
    assert new
    assert max(row[1] for row in new) <= 120
    if "keep" in options:
        assert sorted(row[0] - first for row in new) == sorted(row[0] for row in rows(score))


def test_kept_pitches_are_the_musicians_own(drummer: Composer):
    take = drummer.compose(beat(240, kick=35, snare=40), seed=1, bars=BARS, keep="pitches")[0]
    assert {row[2] for row in rows(take.score, 1920 * BARS)} == {35, 40, HAT}


def test_options_of_pitch_say_nothing_to_drums(drummer: Composer):
    for theme in (beat(), None):
        plain = drummer.compose(theme, seed=1, bars=2)[0]
        told = drummer.compose(theme, seed=1, bars=2, key="E minor", strict_key=True, chords="Am F")[0]
        assert told.score == plain.score
        assert told.messages == (*plain.messages, "without effect on drums: --key, --strict-key and --chords")
    strict = drummer.compose(beat(), seed=1, bars=2, strict_key=True)[0]
    assert strict.messages == ("without effect on drums: --strict-key",)

"""A drummer's file to a model of drums: heard as hits, whatever lengths and sounds it has, and left as it came."""

from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import fake_bundle
from support.primers import primer
from symusic import Track

import melody
from melody.bundle import open_bundle
from melody.errors import UsageError
from melody.evaluation.likelihood import nats_per_bar
from melody.generation import Composer
from melody.generation.model_choice import choose
from melody.generation.primer.kit import as_one_track, kit_of
from melody.generation.primer.primer_view import view_primer
from melody.music.drumkit import FOLD, HIT, as_hits, drums_of, folded, sounds_of
from melody.music.score import GRID, Notes, Score, notes_of, set_notes

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


@pytest.mark.parametrize(("kick", "snare"), [(35, 40), (KICK, 39)])
def test_new_hits_have_the_sounds_of_the_musicians_kit(drummer: Composer, kick: int, snare: int):
    score = beat(kick=kick, snare=snare)
    stream = drummer.stream(score, seed=1, bars=BARS, humanize=0)
    streamed = set()
    while True:
        try:
            note = next(stream)
            streamed.add((note.onset, note.pitch))
        except StopIteration as stop:
            take = stop.value
            break
    new = {(onset, pitch) for onset, _, pitch, _ in rows(take.score, 1920 * BARS)}
    sounds = {pitch for _, pitch in new}
    assert {kick, snare} <= sounds
    assert not sounds & ({KICK, SNARE} - {kick, snare})
    assert new == streamed


def test_claps_beside_a_snare_are_no_snare():
    pitch = np.array([36, 38, 39, 39, 82])
    drums = drums_of(pitch, {36, 38, 42})
    assert drums == {36: 36, 38: 38, 39: 39, 82: 42}
    assert sounds_of(np.array([35, 35, 36, 82]), {35: 36, 36: 36, 82: 42}) == {36: 35, 42: 82}


def test_a_band_hears_drums_as_hits_of_its_training_music():
    known = [view_primer(one, open_bundle("band")).ids for one in (beat(), beat(240, kick=35, snare=40), beat(10))]
    assert known[0] == known[1] == known[2]


def test_a_hit_just_before_the_last_bar_line_makes_no_bar_more():
    score = beat(10, late=-20)
    notes = notes_of(score.tracks[0])
    set_notes(
        score.tracks[0], Notes(*(np.append(a, b) for a, b in zip(notes, (1920 * BARS - 20, 10, 38, 90), strict=True)))
    )
    view = view_primer(score, open_bundle("drums"))
    assert view.bars == BARS
    assert view.ids.count(open_bundle("drums").tokenizer.vocabulary.ids["Bar"][0]) == BARS


def test_a_model_of_drums_of_other_lengths_hears_them_as_they_are(tmp_path: Path):
    view = view_primer(beat(240, snare=40), fake_bundle(tmp_path, drums=True))
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
        assert told.messages == (*plain.messages, "without effect on drums: `key`, `strict_key` and `chords`")
    strict = drummer.compose(beat(), seed=1, bars=2, strict_key=True)[0]
    assert strict.messages == ("without effect on drums: `strict_key`",)


# ---- a kit on several tracks ----------------------------------------------------------------------------------------


def on_tracks(score: Score, **drums: tuple[int, ...]) -> Score:
    """A score of one track of drums with a track for each group of them."""
    notes = notes_of(score.tracks[0])
    tracks = [Track(name, 0, True) for name in drums]
    for track, wanted in zip(tracks, drums.values(), strict=True):
        set_notes(track, notes.take(np.isin(notes.pitch, wanted)))
    return primer(*tracks)


def divided() -> Score:
    """The beat, as many programs write it."""
    return on_tracks(beat(), Kick=(KICK,), Snare=(SNARE,), Hats=(HAT,))


def hits_by_track(score: Score, first: int = 0, stop: int = 2**31) -> list[list[int]]:
    """The drums that each track strikes between two ticks, one for each hit."""
    notes = [notes_of(track) for track in score.tracks]
    return [n.pitch[(n.onset >= first) & (n.onset < stop)].tolist() for n in notes]


def test_a_kit_on_several_tracks_surprises_the_model_no_more_than_on_one(drummer: Composer):
    assert nats_per_bar(divided(), drummer.bundle, drummer.engine) == nats_per_bar(
        beat(), drummer.bundle, drummer.engine
    )


def test_a_kit_on_several_tracks_goes_on_as_one_with_each_drum_on_its_track(drummer: Composer):
    whole = drummer.compose(beat(), seed=3, bars=2)[0]
    take = drummer.compose(divided(), seed=3, bars=2)[0]
    assert take.messages == ("Kick, Snare and Hats: read and continued as one kit",)
    kick, snare, hats = hits_by_track(take.score, 1920 * BARS)
    assert sorted(kick + snare + hats) == sorted(hits_by_track(whole.score, 1920 * BARS)[0])
    assert {KICK} == set(kick)
    assert {SNARE} == set(snare)
    assert HAT in hats
    assert not {KICK, SNARE} & set(hats)  # other drums go to the fullest
    assert hits_by_track(take.score, 0, 1920 * BARS) == hits_by_track(divided())
    streamed = list(drummer.stream(divided(), seed=3, bars=2))
    told = [sorted(note.pitch for note in streamed if note.track == track) for track in range(3)]
    assert told == [sorted(kick), sorted(snare), sorted(hats)]


def test_bars_of_a_kit_are_filled_on_all_its_tracks(drummer: Composer):
    take = drummer.compose(divided(), seed=1, fill=(2, 3))[0]
    lines = [0, 1920, 3 * 1920, 2**31]
    before, new, after = (hits_by_track(take.score, *span) for span in pairwise(lines))
    assert before == hits_by_track(divided(), *lines[:2])
    assert after == hits_by_track(divided(), *lines[2:])
    whole = drummer.compose(beat(), seed=1, fill=(2, 3))[0]
    assert sorted(chain(*new)) == sorted(hits_by_track(whole.score, 1920, 3 * 1920)[0])


def test_a_part_of_a_kit_is_not_composed_alone(drummer: Composer):
    with pytest.raises(UsageError, match="Kick, Snare and Hats are one kit to the model; name all of them, or none"):
        drummer.compose(divided(), seed=1, fill=(2, 3), tracks=["Hats"])
    take = drummer.compose(divided(), seed=1, fill=(2, 3), tracks=["Hats", "Kick", "Snare"])[0]
    assert take.score == drummer.compose(divided(), seed=1, fill=(2, 3))[0].score


def test_who_maps_a_track_of_drums_gets_that_track_continued(drummer: Composer):
    take = drummer.compose(divided(), seed=1, bars=2, mapping={"Kick": ("Drums",)})[0]
    kick, snare, hats = hits_by_track(take.score, 1920 * BARS)
    assert kick
    assert not snare + hats


def test_second_sounds_of_a_drum_go_where_the_drum_is():
    kit = kit_of(on_tracks(beat(snare=40), Low=(KICK,), High=(40, HAT)))
    assert kit is not None
    assert (kit.main, kit.track_of(35), kit.track_of(38), kit.track_of(57)) == (1, 0, 1, 1)
    assert kit_of(beat()) is None


def test_a_kit_on_several_tracks_is_drums_alone_to_the_choice_of_a_model():
    models = [open_bundle(name) for name in ("chorale", "drums")]
    choice = choose(divided(), models)
    assert (choice.bundle.name, choice.reason) == ("drums", choose(beat(), models).reason)


def test_a_model_of_several_tracks_of_drums_gets_them_one_by_one(tmp_path: Path):
    view = view_primer(divided(), fake_bundle(tmp_path, drums=True))
    assert sorted(view.tracks.values()) == [0, 1, 2]


def test_hits_of_a_kit_are_all_kept_on_one_track():
    score = divided()
    joined = as_one_track(score, kit_of(score))
    assert [len(track.notes) for track in joined.tracks] == [0, 0, len(beat().tracks[0].notes)]
    assert len(score.tracks[0].notes)

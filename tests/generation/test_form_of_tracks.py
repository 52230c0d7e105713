"""A plan for each track of a take: drawn, asked for, around a gap and around tracks that stand."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from support.bars import A, B, C, D, band_of
from support.tiny_bundle import write_planning_band

from melody.generation import Composer, Take, form
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.score import Score
from melody.tokens import EventTokenizer
from melody.tokens.plan import EMPTY, FIRST, LIKES, NEW, UNTOLD, FormPlan, Symbol, spelled

BEAT = [(24 * place, 128 + drum, 20) for place, drum in enumerate((36, 38, 36, 38))]
LOW = [[(place, pitch - 24, loud) for place, pitch, loud in bar] for bar in (A, B, C, D)]
DRUMS, BASS, CHORDS, LEAD = 0, 1, 2, 4


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(write_planning_band(tmp_path_factory.mktemp("planning") / "band"))


@pytest.fixture(scope="module")
def primer() -> Score:
    """Drums and bass go on; the lead has been silent since bar 4."""
    return EventTokenizer().decode(np.array(band_of([BEAT] * 8, LOW * 2, [A, B, C, D, [], [], [], []])))


def mapped(primer: Score) -> Score:
    score = primer.copy()
    score.tracks[0].name, score.tracks[1].name, score.tracks[2].name = "Drums", "Bass", "Lead"
    score.tracks[1].program, score.tracks[2].program = 33, 80
    return score


def test_each_take_draws_a_plan_for_each_track_and_replays(composer: Composer, primer: Score) -> None:
    takes = composer.compose(mapped(primer), takes=3, seed=7, bars=6)
    assert len({str(take.plan) for take in takes}) == 3
    for take in takes:
        assert take.plan is not None
        lines = take.plan.tracks
        assert spelled(lines[DRUMS][:8]) == "first 1= 1= 1= 1= 1= 1= 1="
        assert spelled(lines[BASS][:8]) == "first new new new 4= 4= 4= 4="
        assert {len(line) for line in lines} == {14}
        assert not any(UNTOLD in line for line in lines)
        assert EMPTY not in (lines[DRUMS][8], lines[BASS][8])  # what sounds at the end goes on
        assert lines[CHORDS] == (EMPTY,) * 14  # nobody is there to play them
        told = take.settings["plan"]["tracks"]
        assert told == {name: spelled(line) for name, line in zip(names(composer), lines, strict=True) if name in told}
        assert take.to_dict()["form"]["tracks"] == told
    again = composer.recompose(json.loads(json.dumps(takes[2].settings)), mapped(primer))
    assert again.plan == takes[2].plan
    assert again.to_midi() == takes[2].to_midi()


def names(composer: Composer) -> list[str]:
    return [info.name for info in composer.bundle.tracks]


def test_a_new_piece_has_the_cast_of_one_of_training(composer: Composer) -> None:
    take = composer.compose(bars=4, seed=1)[0]
    assert take.plan is not None
    assert len(take.plan.tracks) == 8
    assert all(len(line) == 4 for line in take.plan.tracks)
    assert {line[0] for line in take.plan.tracks} <= {FIRST, EMPTY}


def test_a_form_is_that_of_all_tracks(composer: Composer, primer: Score) -> None:
    take = composer.compose(mapped(primer), form="AAB", section=4, seed=3, bars=None)[0]
    assert take.plan is not None
    assert len(take.sections) == 3
    back = composer.compose(mapped(primer), form="ABA", section=4, seed=3)[0]
    assert back.plan is not None
    assert back.plan.tracks[BASS][8:] == (Symbol(8, 4),) * 4
    assert back.plan.tracks[CHORDS][8:] == (EMPTY,) * 4  # as in the silence of the first section
    assert back.sections[0][1] == back.sections[2][1]


def test_the_primers_form_once_more(composer: Composer, primer: Score) -> None:
    take = composer.compose(mapped(primer), form="as-primer", seed=3)[0]
    assert take.plan is not None
    assert take.plan.tracks[DRUMS][8:] == (NEW, *[Symbol(1, 4)] * 7)
    assert take.plan.tracks[BASS][8:] == (NEW,) * 4 + (Symbol(4, 4),) * 4


def test_tracks_that_stand_are_known_through_a_gap(composer: Composer, primer: Score) -> None:
    prepared = composer._prepare(mapped(primer), settings_of({"fill": (5, 6), "tracks": ("Bass",)}))
    assert prepared.form is not None
    known = prepared.form.known
    assert known.tracks[DRUMS][4:6] == (Symbol(1, 4), Symbol(1, 4))
    assert all(symbol == UNTOLD or symbol.lag < 0 for symbol in known.tracks[BASS][4:6])
    plan = prepared.plan_of(Seed(0, 1))
    assert plan is not None
    assert plan.tracks[DRUMS] == known.tracks[DRUMS]
    assert plan.tracks[BASS][4] not in (UNTOLD, EMPTY)


def test_tracks_that_go_on_are_known_through_the_new_bars(composer: Composer, primer: Score) -> None:
    score = mapped(primer)
    score.tracks[1].notes = [note for note in score.tracks[1].notes if note.time < 4 * 4 * score.tpq]
    prepared = composer._prepare(score, settings_of({"with_tracks": ("Drums",)}))
    assert prepared.form is not None
    known: FormPlan = prepared.form.known
    assert len(known.tracks[DRUMS]) == 8
    assert len(known.tracks[BASS]) == 4
    take = composer.compose(score, with_tracks=("Drums",), seed=2)[0]
    assert take.plan is not None
    assert take.plan.tracks[BASS][4] != EMPTY


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_parts_that_are_added_return_where_the_chords_do(composer: Composer, seed: int) -> None:
    """C, F, C, G, ... in the given piano: no bar of the bass is played again over another chord."""
    roots = [0, 5, 0, 7, 0, 5, 7, 0, 0, 5, 0, 7]
    chords = [[(0, 60 + root + step, 20) for step in (0, 4, 7)] for root in roots]
    tune = [[(24 * beat, 72 + (root + 2 * beat) % 12, 20) for beat in range(4)] for root in roots]
    score = EventTokenizer().decode(np.array(band_of(chords, tune)))
    score.tracks[0].name, score.tracks[1].name = "Piano", "Flute"
    score.tracks[1].program = 73
    copies = 0
    for take in composer.compose(score, add="bass,drums", seed=seed, takes=8):
        assert take.plan is not None
        lags = [(bar, one.lag) for bar, one in enumerate(take.plan.tracks[BASS]) if one.is_copy]
        copies += len(lags)
        assert all(roots[bar] == roots[bar - lag] for bar, lag in lags)
    assert copies > 4


def loops(takes: Sequence[Take]) -> int:
    """Takes in which every track plays bars of before throughout, or rests; the last bar closes."""
    plans = [take.plan for take in takes if take.plan is not None]
    new = [[symbol for line in plan.tracks for symbol in line[8:15]] for plan in plans]
    return sum(all(one == EMPTY or (one.lag > 0 and one.like == LIKES) for one in symbols) for symbols in new)


def test_a_band_does_not_only_loop_what_it_is_given(primer: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    band, given = Composer("band"), mapped(primer)
    given.tracks = given.tracks[:2]
    asked = {"bars": 8, "takes": 24, "seed": 0}
    assert loops(band.compose(given, **asked)) == 0
    monkeypatch.setattr(form, "AGAIN", 0)
    assert loops(band.compose(given, **asked)) > 0

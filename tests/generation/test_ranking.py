"""Best of N: what counts as a breach on chords made by hand, and that the best of more candidates is never worse."""

import json

import numpy as np
import pytest
from support.fakes import UniformComposer, fake_bundle
from symusic import TimeSignature, Track

from melody.errors import UsageError
from melody.generation.ranking import Breaches, cost, count_breaches
from melody.music.key import Key
from melody.music.score import Notes, Score, set_notes
from melody.tokens.taste import Taste
from tests.generation.test_composer import tune

C_MAJOR = Key(0, "major")
CLOSE = [[72, 71, 72], [67, 67, 64], [64, 62, 60], [48, 55, 48]]  # I V I, no fault but the fourth voice's leap


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> UniformComposer:
    return UniformComposer(fake_bundle(tmp_path_factory.mktemp("bundle"), polyphony=1))


def chords(*voices: list[int], drums: bool = False) -> Score:
    """One half note a chord, 2/2; a list of pitches for each voice."""
    score = Score(480)
    score.time_signatures = [TimeSignature(0, 1, 2)]
    for pitches in voices:
        track = Track("", 0, drums)
        count = len(pitches)
        set_notes(track, Notes(np.arange(count) * 960, np.full(count, 960), np.array(pitches), np.full(count, 80)))
        score.tracks.append(track)
    return score


def counted(score: Score, lines: list[int], ranges: dict | None = None, ending: bool = True) -> dict[str, int]:
    breaches = count_breaches(score, lines, ranges or {}, C_MAJOR, ending)
    return {name: count for name, count in breaches.to_dict().items() if count and name != "total"}


def test_a_clean_cadence_has_no_breach():
    assert counted(chords(*CLOSE), [0, 1, 2, 3]) == {}


@pytest.mark.parametrize(
    ("voices", "expected"),
    [
        ([[67, 69, 67], [60, 62, 60]], {"parallels": 2}),
        ([[60, 59, 64], [64, 67, 60]], {"crossings": 1}),
        ([[72, 71, 72], [55, 59, 60]], {"doubled_leading_notes": 1}),
        ([[72, 71, 72], [60, 55, 57]], {"open_ending": 1}),
    ],
)
def test_each_breach_is_counted(voices, expected):
    assert counted(chords(*voices), [0, 1]).items() >= expected.items()


def test_voices_are_given_from_high_to_low_wherever_their_tracks_stand():
    assert counted(chords(*CLOSE[::-1]), [3, 2, 1, 0]) == {}
    assert "crossings" in counted(chords(*CLOSE[::-1]), [0, 1, 2, 3])


def test_ranges_and_the_ending_remain_without_single_lines():
    score = chords([60, 71, 60], [60, 50, 60])
    assert counted(score, [], {0: (60, 70), 1: (55, 70)}) == {"out_of_range": 2}
    assert counted(chords([60, 62], [57, 57]), []) == {"open_ending": 1}
    assert counted(chords([60, 62], [57, 57]), [], ending=False) == {}


def test_drums_do_not_end_on_chords():
    assert counted(chords([36, 38], drums=True), []) == {}


def test_what_is_best():
    clean, faulty = Breaches(0, 0, 0, 0, 0), Breaches(2, 1, 0, 0, 1)
    assert cost(1.0, faulty, 100, "likelihood") < cost(1.1, clean, 100, "likelihood")
    assert cost(1.0, faulty, 100, "rules") > cost(1.1, clean, 100, "rules")
    assert cost(1.0, faulty, 100, "both") > cost(1.1, clean, 100, "both")
    assert cost(1.0, faulty, 100, "both") < cost(1.2, clean, 100, "both")
    assert cost(1.0, clean, 100, "rules") < cost(1.1, clean, 100, "rules")
    assert str(faulty) == "4 breaches (parallels 2, crossings 1, open ending 1)"


@pytest.mark.parametrize("by", ["likelihood", "rules", "both"])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_of_more_is_never_worse(composer, by, seed):
    primer = tune() if seed else None
    costs, winners = [], []
    for count in (2, 4, 8):
        take = composer.compose(primer, bars=2, seed=seed, best_of=count, by=by)[0]
        costs.append(cost(take.nats_per_note, take.breaches, take.notes, by))
        winners.append(take.candidate)
        assert 1 <= take.candidate <= count
    assert costs == sorted(costs, reverse=True)
    assert winners == sorted(winners)  # the same one, or one of those that were added


def test_taste_chooses_what_seems_most_human(tmp_path):
    composer = UniformComposer(fake_bundle(tmp_path))
    with pytest.raises(UsageError, match="has not learned any"):
        composer.compose(tune(), bars=2, seed=0, best_of=4, by="taste")
    fuller = {"statistic": [[0, 0, 0]], "threshold": [[20, 0, 0]], "left": [[1, 1, 2]], "right": [[2, 1, 2]]}
    arrays = {name: np.array(value, np.float32) for name, value in {**fuller, "human": [[0, 0, 1]]}.items()}
    composer.bundle.__dict__["taste"] = Taste.of(["events a bar"], arrays)
    found = [composer.compose(tune(), bars=2, seed=seed, best_of=8, by="taste")[0] for seed in range(6)]
    plain = [composer.compose(tune(), bars=2, seed=seed)[0] for seed in range(6)]
    assert sum(take.notes for take in found) > sum(take.notes for take in plain)
    assert {take.humanity for take in found} <= {0.0, 1.0}
    assert all((take.humanity == 1) == (take.notes > 40) for take in found)
    again = composer.recompose(json.loads(json.dumps(found[0].settings)), tune())
    assert again.score == found[0].score
    assert found[0].to_dict()["best"]["humanity"] == found[0].humanity


def test_a_take_does_not_depend_on_how_many_are_asked_for(composer):
    together = composer.compose(tune(), bars=2, seed=4, takes=7, best_of=3)
    for number in (1, 3, 7):
        some = composer.compose(tune(), bars=2, seed=4, takes=number, best_of=3)[-1]
        assert (some.score, some.candidate) == (together[number - 1].score, together[number - 1].candidate)
    assert len({take.nats_per_note for take in together}) == 7


def test_the_first_candidate_is_the_take_without_others(composer):
    plain = composer.compose(tune(), bars=2, seed=0, takes=12)
    best = composer.compose(tune(), bars=2, seed=0, takes=12, best_of=2)
    firsts = [(one, other) for one, other in zip(plain, best, strict=True) if other.candidate == 1]
    assert firsts
    assert all(one.score == other.score for one, other in firsts)
    assert len(firsts) < 12


@pytest.mark.parametrize("search", [{"best_of": 2}, {"beam_width": 2}])
def test_a_stream_does_not_search(composer, search):
    with pytest.raises(UsageError, match="followed as it is drawn"):
        next(composer.stream(tune(), bars=2, **search))


def test_settings_compose_the_take_again(composer):
    for options in (
        {},
        {"beam_width": 3},
        {"beam_width": 4, "stochastic": True},
        {"best_of": 3, "by": "rules"},
        {"ranges": {"hand 0": (60, 70)}},
    ):
        take = composer.compose(tune(), bars=2, seed=8, takes=3, meter=(3, 8), **options)[2]
        again = composer.recompose(json.loads(json.dumps(take.settings)), tune())
        assert (again.score, again.settings) == (take.score, take.settings)

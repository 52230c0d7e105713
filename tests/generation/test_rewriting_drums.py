"""Rewriting drums: bars come anew all at once, what is kept is kept, and beats are divided by two or by three."""

import numpy as np
import pytest
from support.primers import part, primer
from support.tiny_bundle import write_drumming_bundle
from test_rewriting import inside

from melody.bundle import open_bundle
from melody.errors import MelodyError
from melody.generation import Composer
from melody.generation.canvas import Canvas
from melody.generation.kit_canvas import EVEN, Drummer, weighed
from melody.learning import learn_rewriter
from melody.music.score import Score, bars, notes_of, set_notes
from melody.tokens.cells import ground_of
from melody.tokens.hits import BEAT, HITS, KIT, SILENCE, VALUES, divided


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(write_drumming_bundle(tmp_path_factory.mktemp("bundle") / "drums"))


@pytest.fixture(scope="module")
def groove() -> Score:
    """Four bars; the snare has strokes of two loudnesses."""
    track = part("Kit", [(36, 42), 42, (38, 42), 42] * 2, drums=True)
    notes = notes_of(track)
    set_notes(track, notes._replace(velocity=np.where(np.arange(len(notes.onset)) % 5 == 0, 21, notes.velocity)))
    return primer(track)


@pytest.mark.parametrize("rounds", [1, 4])
def test_what_is_kept_is_kept_and_what_is_new_is_valid(composer: Composer, groove: Score, rounds: int) -> None:
    (take,) = composer.compose(groove, rewrite=(2, 3), rounds=rounds, seed=1, best_of=1)
    for bar in (1, 4):
        assert inside(take.score, bar, bar) == inside(groove, bar, bar)
    assert inside(take.score, 2, 3) != inside(groove, 2, 3)
    assert len(bars(take.score)) == len(bars(groove))
    assert take.settings["rewriter"] == composer.bundle.settings["files"]["rewriter.safetensors"]
    assert "plan" not in take.settings
    (again,) = composer.compose(groove, rewrite=(2, 3), rounds=rounds, seed=1, best_of=1)
    assert again.to_midi() == take.to_midi()
    notes = notes_of(take.notation.tracks[0])
    ticks = notes.onset * 24 // take.notation.tpq
    assert set(notes.pitch.tolist()) <= {*KIT}
    for beat in np.unique(ticks // 24):
        places = set((ticks[ticks // 24 == beat] % 24).tolist())
        assert places <= {0, 3, 6, 9, 12, 15, 18, 21} or places <= {0, 4, 8, 12, 16, 20}


def test_drums_are_filled_unless_rounds_are_asked_for(composer: Composer, groove: Score) -> None:
    (take,) = composer.compose(groove, rewrite=(2, 3), seed=1, best_of=1)
    (filled,) = composer.compose(groove, fill=(2, 3), seed=1, best_of=1)
    assert inside(take.score, 1, 4) == inside(filled.score, 1, 4)
    assert any(message.startswith("filled, not rewritten: most voices come anew") for message in take.messages)


def test_the_last_bar_stays_the_last(composer: Composer, groove: Score) -> None:
    (take,) = composer.compose(groove, rewrite=(3, 4), rounds=2, seed=3, best_of=1)
    assert len(bars(take.score)) == len(bars(groove))
    assert inside(take.score, 1, 2) == inside(groove, 1, 2)


def test_a_variation_of_drums_is_rewritten_bar_by_bar(composer: Composer, groove: Score) -> None:
    (take,) = composer.compose(groove, rewrite=(1, 4), rounds=2, strength=0.5, seed=8, best_of=1)
    assert [inside(take.score, bar, bar) == inside(groove, bar, bar) for bar in range(1, 5)].count(True) == 2


def test_a_drum_beyond_the_range_gets_no_stroke(composer: Composer, groove: Score) -> None:
    (take,) = composer.compose(groove, rewrite=(2, 3), rounds=2, ranges={"Kit": (36, 42)}, seed=5, best_of=1)
    assert {pitch for _, _, pitch, _ in inside(take.score, 2, 3)[0]} <= {36, 37, 38, 42}


def test_strokes_agree_on_the_division_of_their_beat_and_few_sound_at_once() -> None:
    count, generator = 64, np.random.default_rng(0)
    hidden = np.ones((count, len(KIT)), bool)
    straight, triplet = divided()
    ground = ground_of([0, 96], count, 0)
    may = np.repeat((straight | triplet)[ground[:, 0] % BEAT, None], len(KIT), axis=1)
    canvas = Canvas(np.full(hidden.shape, HITS.hidden), ground, hidden, may)
    weights = np.ones((count, len(KIT), VALUES))
    cells = canvas.cells
    for drum in generator.permutation(len(KIT)).tolist():
        cells = Drummer(canvas, 3).draw(cells, hidden[:, drum], drum, weights, generator)
    assert (cells < VALUES).all()
    assert ((cells > SILENCE).sum(axis=1) == 3).mean() > 0.9
    fits = [side[ground[:, :1] % BEAT, cells].all(axis=1).reshape(-1, BEAT).all(axis=1) for side in divided()]
    assert (fits[0] | fits[1]).all()
    assert fits[0].any()
    assert fits[1].any()


def test_temperature_leaves_strokes_their_chance() -> None:
    logits = np.log(np.array([0.4, *[0.6 / (VALUES - 1)] * (VALUES - 1)]))
    np.testing.assert_allclose(weighed(logits, 1.0), np.exp(logits), rtol=1e-9)
    cool = weighed(logits, 0.5)
    np.testing.assert_allclose(cool[0], 0.16 * EVEN / (0.16 * EVEN + 0.36))
    np.testing.assert_allclose(cool.sum(), 1)


def test_chords_are_no_grid() -> None:
    with pytest.raises(MelodyError, match="single voices or drums alone"):
        learn_rewriter("piano")
    assert open_bundle("piano").rewriter is None

"""The sampling loop in C against the one in Python: the same tokens, rules and costs."""

import numpy as np
import pytest
from support import native_trials

from melody.generation.chord_plan import ChordPlan
from melody.generation.decoders import sampling
from melody.generation.decoders.native_loop import native_loop
from melody.generation.rules.copying import NoLongCopy
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.native.library import core

pytestmark = pytest.mark.skipif(core() is None, reason="no native core")


@pytest.mark.parametrize("seed", range(10))
def test_both_loops_draw_the_same(seed: int) -> None:
    assert native_trials.loop_trial(np.random.default_rng(100 + seed)) >= 0


@pytest.mark.parametrize("model", native_trials.MODELS)
def test_a_take_is_the_same_alone_and_among_others(model: str) -> None:
    composer = native_trials.composer(model)
    together = composer.compose(bars=3, takes=7, seed=4)
    numbered = {**together[4].settings}
    assert composer.recompose(numbered).to_midi() == together[4].to_midi()
    assert composer.compose(bars=3, takes=1, seed=4)[0].to_midi() == together[0].to_midi()


def test_streamed_notes_are_those_of_the_take() -> None:
    composer = native_trials.composer("pop")
    notes, stream = 0, composer.stream(bars=3, seed=5)
    while True:
        try:
            next(stream)
            notes += 1
        except StopIteration as stop:
            take = stop.value
            break
    assert notes == take.notes
    assert take.to_midi() == composer.compose(bars=3, seed=5)[0].to_midi()


def prepared(model: str = "folk", bars: int = 2):
    return native_trials.composer(model)._prepare(None, settings_of({"bars": bars}, None))


def test_an_error_in_a_rule_comes_through() -> None:
    def broken(reader: object) -> None:
        raise ZeroDivisionError("a rule that fails")

    ready, seed = prepared(), Seed(1, 1)
    engine, rules = native_trials.composer("folk").engine, [*ready.rules, broken]
    loop = native_loop(engine, ready.start([seed]), rules, ready.settings.sampling, [seed.generator()])
    assert loop is not None
    with pytest.raises(ZeroDivisionError, match="a rule that fails"):
        list(loop.drawn())


def test_a_rule_in_python_is_asked_and_yields(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that forbids high pitches, and one that would forbid everything."""
    vocabulary = native_trials.VOCABULARY
    pitches, asked = vocabulary.ids["Pitch"], []

    def no_high_pitch(reader: object) -> np.ndarray:
        asked.append(reader)
        mask = np.ones(len(vocabulary), bool)
        mask[pitches.start + 66 : pitches.stop] = False
        return mask

    ready, seeds = prepared("folk", 4), [Seed(1, 1), Seed(1, 2)]
    engine, draws = native_trials.composer("folk").engine, ready.settings.sampling
    rules = [*ready.rules, no_high_pitch, lambda reader: np.zeros(len(vocabulary), bool)]
    loop = native_loop(engine, ready.start(seeds), rules, draws, [seed.generator() for seed in seeds])
    assert loop is not None
    drawn = [pair[:2] for pair in loop.drawn()]
    assert len(asked) >= len(drawn)
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    python = sampling.stream(engine, ready.start(seeds), rules, draws, [seed.generator() for seed in seeds])
    assert drawn == [pair[:2] for pair in python]


def test_rules_that_go_back_are_left_to_python() -> None:
    ready, seed = prepared(), Seed(1, 1)
    rules = [*ready.rules, NoLongCopy(native_trials.VOCABULARY)]
    engine = native_trials.composer("folk").engine
    assert native_loop(engine, ready.start([seed]), rules, ready.settings.sampling, [seed.generator()]) is None


@pytest.mark.parametrize("model", native_trials.MODELS)
def test_the_loop_in_c_serves_every_rule_of_a_model_without_asking_python(model: str) -> None:
    ready, seeds = prepared(model), [Seed(1, 1), Seed(1, 2)]
    engine, draws = native_trials.composer(model).engine, ready.settings.sampling
    loop = native_loop(engine, ready.start(seeds), ready.rules, draws, [seed.generator() for seed in seeds])
    assert loop is not None
    assert not loop.core_rules.asked


def test_an_error_in_drawing_chords_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("no chords")

    monkeypatch.setattr(ChordPlan, "draw_later", fails)
    with pytest.raises(ZeroDivisionError, match="no chords"):
        native_trials.composer("chorale").compose(bars=2, seed=1)

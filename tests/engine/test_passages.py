"""What an engine has read before is not read again, and changes nothing of what it says."""

import numpy as np
import pytest

import melody
from melody.bundle import open_bundle
from melody.engine import passages
from melody.engine.native import NativeEngine
from melody.engine.passages import MOST_KEPT, STRETCH, Passage, Passages
from melody.generation import Composer
from melody.music.score import clip
from melody.native.library import core
from melody.tokens import Plan
from melody.tokens.channels import layout_of

needs_core = pytest.mark.skipif(core() is None, reason="the native core is not compiled")
MODELS = ("chorale", "folk", "pop", "piano", "drums", "band", "lied", "quartet")
C, D, CARRIED = 3, 2, 4


def passage(*tokens: int, channels: int = 0, start: float = 0.0) -> Passage:
    """A passage of these tokens, whose carries and states count from its first channel on."""
    count = len(tokens)
    contexts = np.full((count, C), channels, np.int16)
    carries = np.arange(1 - -count // STRETCH)[:, None] * np.ones((1, CARRIED)) + channels
    carries[0] = start
    states = np.arange(count)[:, None] * np.ones((1, D)) + channels
    return Passage(np.array(tokens, np.int32), contexts, states.astype(np.float32), carries.astype(np.float32))


def test_inputs_are_shared_up_to_the_stretch_in_which_they_differ():
    whole = passage(*range(40))
    assert whole.shared(passage(*range(40))) == 32
    assert whole.shared(passage(*range(32))) == 32
    assert whole.shared(passage(*range(31))) == 16
    assert whole.shared(passage(*range(20), 0, *range(21, 40))) == 16
    assert whole.shared(passage(*range(40), start=1.0)) == 0
    other = passage(*range(40))
    other.contexts[33, 1] = 9
    assert whole.shared(other) == 32
    other.contexts[15, 2] = 9
    assert whole.shared(other) == 0


def test_the_longest_beginning_is_known():
    kept, asked = Passages(), passage(*range(50), channels=7)
    assert kept.resume(asked) == 0
    kept.keep(passage(*range(20), 0, 0, channels=7))
    kept.keep(passage(*range(40), channels=7))
    kept.keep(passage(*range(50), channels=8))
    asked.states[:], asked.carries[1:] = -1, -1
    assert kept.resume(asked) == 32
    assert asked.states[:, 0].tolist() == [*range(7, 39), *[-1] * 18]
    assert asked.carries[:, 0].tolist() == [0, 8, 9, -1, -1]
    other = passage(*range(50), channels=7, start=5.0)
    assert kept.resume(other) == 0
    assert other.carries[0, 0] == 5  # it begins as it did


def test_few_passages_are_kept_and_no_long_ones(monkeypatch: pytest.MonkeyPatch):
    kept = Passages()
    for channels in range(MOST_KEPT + 1):
        kept.keep(passage(*range(STRETCH), channels=channels))
    assert [kept.resume(passage(*range(STRETCH), channels=n)) for n in range(MOST_KEPT + 1)] == [0, *[16] * MOST_KEPT]
    monkeypatch.setattr(passages, "MOST_TOKENS", 40)
    kept.keep(passage(*range(30), channels=9))
    assert kept.resume(passage(*range(STRETCH), channels=9)) == STRETCH
    assert kept.resume(passage(*range(STRETCH), channels=MOST_KEPT)) == 0
    kept.keep(passage(*range(41), channels=9))
    assert kept.resume(passage(*range(STRETCH), channels=9)) == 0


@needs_core
@pytest.mark.parametrize("model", MODELS)
def test_what_is_read_on_is_what_is_read_anew(model: str):
    """Whatever was read before: logits, carry and nats to the bit."""
    bundle, generator = open_bundle(model), np.random.default_rng(4)
    ids = bundle.tokenizer.encode(Composer(bundle).compose(bars=6, seed=4)[0].score).tolist()
    layout, graph = layout_of(bundle.tokenizer.names), bundle.read("step.onnx")
    engine = NativeEngine(graph, layer_bits=bundle.layer_bits)
    for _ in range(12):
        count, plan = int(generator.integers(1, len(ids))), Plan(bars=int(generator.integers(5, 9)))
        fresh = NativeEngine(graph, layer_bits=bundle.layer_bits)
        (own, (carry,), cost), (logits, (known,), nats) = (
            one.read(one.reader(layout, plan), ids[:count], one.start(1)) for one in (fresh, engine)
        )
        assert np.array_equal(own, logits)
        assert np.array_equal(carry, known)
        assert cost() == nats()


@needs_core
@pytest.mark.parametrize("model", MODELS)
def test_takes_are_the_same_whatever_was_read_before(model: str):
    """A call that grows, another with the same beginning, the same one again."""
    composer = Composer(model)
    whole, other = (composer.compose(bars=6, seed=seed)[0].score for seed in (3, 5))
    calls = [clip(whole, 0, bars) for bars in (1, 3, 4, 4)] + [clip(other, 0, 4)]
    for number, call in enumerate([*calls, calls[-2]]):
        options = {"bars": 1, "seed": number, "ending": number % 2 == 0}
        (own,), (fresh,) = composer.compose(call, **options), Composer(model, "native").compose(call, **options)
        assert melody.write(own) == melody.write(fresh)
        assert own.settings == fresh.settings

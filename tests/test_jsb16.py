"""The published benchmark: its unit, what its tokens may know, and its file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from melody.engine.torch import TorchEngine
from melody.errors import UnreadableFile
from melody.evaluation.jsb16 import evaluate_jsb16, read_jsb16
from melody.evaluation.likelihood import nats_read_by
from melody.models import build
from melody.tokens import EventTokenizer
from melody.tokens.voices import CHANNELS, VoicesTokenizer, Walk

VOICES = VoicesTokenizer()


def grid(seed: int, quarters: int = 6) -> np.ndarray:
    """Four voices whose pitches change now and then."""
    generator = np.random.default_rng(seed)
    steps = 4 * quarters
    changes = generator.random((steps, 4)) < 0.3
    changes[0] = True
    walk = np.array([67, 62, 57, 48]) + generator.integers(-5, 6, (steps, 4))
    latest = np.maximum.accumulate(np.where(changes, np.arange(steps)[:, None], 0))
    return np.take_along_axis(walk, latest, axis=0).astype(np.int64)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    sizes = [channel.size for channel in CHANNELS]
    return build("residual_lstm", len(VOICES.vocabulary), sizes, hidden_size=16, layers=2).eval()


def test_the_unit_is_nats_over_voices_times_steps(model: torch.nn.Module):
    grids = [grid(0), grid(1, quarters=9), grid(2)]
    found = evaluate_jsb16(TorchEngine(model), VOICES, grids, "valid")
    assert found.voice_steps == [96, 144, 96]
    assert found.nats_per_voice_step == pytest.approx(sum(found.nats) / 336)


def test_a_uniform_model_pays_the_logarithm_of_what_may_follow(model: torch.nn.Module):
    class Uniform(TorchEngine):
        def step(self, ids, context, carry):
            return np.zeros((len(ids), len(VOICES.vocabulary)), np.float32), carry

    (found,) = evaluate_jsb16(Uniform(model), VOICES, [np.full((4, 4), 60)], "test").nats
    # a length, four voices of 49 pitches and a rest, and one wait of 1 to 4; the end follows from the length
    assert found == pytest.approx(np.log(255) + 4 * np.log(50) + np.log(4))


def test_stepwise_equals_batched(model: torch.nn.Module):
    ids = VOICES.spell(grid(3))
    (stepped,) = nats_read_by([ids], [Walk()], TorchEngine(model))
    with torch.inference_mode():
        tokens = torch.from_numpy(ids[None, :-1].astype(np.int64))
        context = torch.from_numpy(VOICES.context(ids)[None, :-1].astype(np.int64))
        logits, _ = model(tokens, model.initial_carry(1), context)
    batched = torch.nn.functional.cross_entropy(logits[0], torch.from_numpy(ids[1:].astype(np.int64)), reduction="none")
    assert np.abs(stepped[1] - batched.numpy()).max() < 1e-4


@pytest.mark.parametrize("tokenizer", [VOICES, EventTokenizer()], ids=["voices", "events"])
def test_another_future_leaves_earlier_costs_alone(tokenizer: VoicesTokenizer | EventTokenizer):
    from melody.evaluation.jsb16 import _reader, _spell

    torch.manual_seed(1)
    sizes = [channel.size for channel in tokenizer.channels]
    net = build("residual_lstm", len(tokenizer.vocabulary), sizes, hidden_size=16, layers=1)
    one = grid(4)
    other = one.copy()
    other[12:] = grid(5)[12:]
    pieces = [_spell(tokenizer, one), _spell(tokenizer, other)]
    same = int(np.argmin(np.append(pieces[0][: len(pieces[1])] == pieces[1][: len(pieces[0])], False)))
    first, second = nats_read_by(pieces, [_reader(tokenizer) for _ in pieces], TorchEngine(net))
    assert same > 12
    assert np.array_equal(first[0][: same - 1], second[0][: same - 1])
    assert not np.array_equal(first[0], second[0])


def test_another_file_is_refused(tmp_path: Path):
    np.savez(tmp_path / "other.npz", test=np.zeros(3))
    with pytest.raises(UnreadableFile, match=r"not the benchmark's file; get it from"):
        read_jsb16(tmp_path / "other.npz")


def test_the_splits_have_the_published_sizes(data_folder: Path):
    splits = read_jsb16(data_folder / "Jsb16thSeparated.npz")
    assert {name: len(grids) for name, grids in splits.items()} == {"train": 229, "valid": 76, "test": 77}
    assert sum(len(one) for one in splits["test"]) == 18_900
    assert max(int(one.max()) for grids in splits.values() for one in grids) == 81

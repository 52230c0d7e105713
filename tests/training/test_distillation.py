"""Distillation: the loss, what teachers know on the way, and runs with teachers that go on as if never stopped."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from support.counting import CHANNELS, LENGTHS, VALID, VOCABULARY, Counting, Killing, assert_same_run, configuration
from support.made_up_voices import CONFIG, train_briefly
from torch import nn

from melody.errors import ConfigError, MelodyError
from melody.learning import train_from_config
from melody.learning.objectives import objective_of
from melody.models import build
from melody.tokens import EventTokenizer
from melody.training import train
from melody.training.checkpoint import load_newest
from melody.training.lanes import Lanes
from melody.training.objectives.cross_entropy import cross_entropy
from melody.training.objectives.distilled import Distilled, soft_cross_entropy


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_briefly(tmp_path_factory.mktemp("jsb16"))


def model(seed: int, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build("residual_lstm", VOCABULARY, CHANNELS, hidden_size=8, layers=1, **options)


def with_teachers(
    folder: Path, source: Counting | None = None, weight: float = 0.5, hashes: Any = ("a", "b"), **changes: Any
) -> Any:
    config = configuration(objective={"name": "distilled", "teachers": ["a", "b"], "weight": weight}, **changes)
    teachers = Distilled([model(1), model(2, attention={"heads": 2, "memory": 5})], weight, 1.2, hashes)
    source = source or Counting(LENGTHS)
    return train(config, source, VALID, VOCABULARY, CHANNELS, folder, objective=teachers)


def test_a_teacher_that_is_sure_is_what_followed():
    logits, mask = torch.randn(2, 5, VOCABULARY), torch.rand(2, 5) < 0.7
    targets = torch.randint(VOCABULARY, (2, 5))
    nats, _ = cross_entropy(logits, targets, mask)
    wanted = nn.functional.one_hot(targets, VOCABULARY).float()
    assert torch.allclose(soft_cross_entropy(logits, wanted, mask), nats)


def test_the_loss_is_least_where_the_student_thinks_as_its_teachers():
    wanted = torch.softmax(torch.randn(1, 3, VOCABULARY), dim=-1)
    mask = torch.ones(1, 3, dtype=torch.bool)
    least = soft_cross_entropy(wanted.log(), wanted, mask)
    assert torch.allclose(least, -(wanted * wanted.log()).sum())
    assert all(
        soft_cross_entropy(wanted.log() + torch.randn(1, 3, VOCABULARY), wanted, mask) > least for _ in range(20)
    )


def test_teachers_read_on_from_window_to_window():
    one, two = model(1), model(2)
    teachers = Distilled([one, two], 0.5, 2.0)
    windows = list(Lanes(Counting([17], augment=False), 1, 8).windows(0))
    carry, found = tuple(net.start(1) for net in (one, two)), []
    for window in windows:
        probabilities, carry = teachers.read(window, carry)
        found.append(probabilities)
    tokens, context = (
        torch.cat([getattr(window, name) for window in windows], dim=1) for name in ("tokens", "context")
    )
    whole = [torch.softmax(net(tokens, net.start(1), context)[0] / 2.0, dim=-1) for net in (one, two)]
    assert torch.allclose(torch.cat(found, dim=1), (whole[0] + whole[1]) / 2, atol=1e-6)


def test_teachers_do_not_learn(tmp_path: Path):
    net = model(1).train()
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    config = configuration(objective={"name": "distilled", "teachers": ["a"]}, max_passes=1)
    train(config, Counting(LENGTHS), VALID, VOCABULARY, CHANNELS, tmp_path, objective=Distilled([net], 0.5, 1.0))
    assert all(torch.equal(before[name], weight) for name, weight in net.state_dict().items())
    assert not net.training


def test_a_student_comes_to_think_as_its_teacher(tmp_path: Path):
    """The teacher thinks what the music does not say; a student that hears it alone thinks so too."""
    teacher = model(3)
    with torch.no_grad():
        teacher.head_bias[4] += 3.0  # type: ignore[operator]
    teachers = Distilled([teacher], 1.0, 1.0)
    config = configuration(
        objective={"name": "distilled", "teachers": ["a"], "weight": 1.0},
        max_passes=12,
        optimizer={"learning_rate": 0.02},
    )
    train(config, Counting(LENGTHS), VALID, VOCABULARY, CHANNELS, tmp_path, objective=teachers)
    student = build("residual_lstm", VOCABULARY, CHANNELS, **config.model.options()).eval()
    found = load_newest(tmp_path, "last")
    assert found is not None
    student.load_state_dict({k.removeprefix("averaged."): v for k, v in found[0].items() if k.startswith("averaged.")})
    (window,) = list(Lanes(VALID, 3, 32).windows(0))
    wanted, _ = teachers.read(window, (teacher.start(3),))
    with torch.no_grad():
        logits, _ = student(window.tokens, student.start(3), window.context)
    least = soft_cross_entropy(wanted.log(), wanted, window.mask) / window.mask.sum()
    assert soft_cross_entropy(logits, wanted, window.mask) / window.mask.sum() - least < 0.1
    assert soft_cross_entropy(0 * logits, wanted, window.mask) / window.mask.sum() - least > 0.3  # who knows nothing


@pytest.mark.parametrize("after", [7, 16])
def test_a_run_with_teachers_goes_on_bit_for_bit(tmp_path: Path, after: int):
    with_teachers(tmp_path / "whole")
    stopped = with_teachers(tmp_path / "cut", Killing(LENGTHS, after, signal.SIGTERM))
    assert stopped.interrupted
    with_teachers(tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_run_keeps_its_teachers(tmp_path: Path):
    with_teachers(tmp_path, max_passes=1)
    with pytest.raises(ConfigError, match=r"objective\.weight"):
        with_teachers(tmp_path, weight=0.3)
    with pytest.raises(ConfigError, match=r"objective\.teachers"):
        with_teachers(tmp_path, hashes=("a", "c"))  # one of them has been trained anew


def test_teachers_are_runs_of_the_same_tokens(trained: Path, tmp_path: Path):
    store = trained.parent / "store"
    small = [f"corpus={store}", "model.hidden_size=8", "data.batch_size=2", "data.window=32", "tensorboard=false"]
    small += [
        "max_passes=1",
        "evaluation.every=1",
        "threads=1",
        "objective.name=distilled",
        f"objective.teachers=[{trained}]",
    ]
    assert train_from_config(CONFIG, small, tmp_path / "student") == 0
    config = configuration(objective={"name": "distilled", "teachers": [str(trained)]})
    with pytest.raises(MelodyError, match="has learned voices, the corpus is told as events"):
        objective_of(config, EventTokenizer())
    nowhere = configuration(objective={"name": "distilled", "teachers": [str(tmp_path / "nowhere")]})
    with pytest.raises(MelodyError, match="nowhere': neither a folder"):
        objective_of(nowhere, EventTokenizer())
    with pytest.raises(ConfigError, match="teachers"):
        configuration(objective={"name": "distilled", "teachers": []})

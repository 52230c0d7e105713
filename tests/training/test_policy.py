"""Learning from rewards: the gradient on a toy with a known optimum, KL, limits, and runs that go on bit for bit."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.counting import (
    CHANNELS,
    LENGTHS,
    VALID,
    VOCABULARY,
    Counting,
    Killing,
    assert_same_run,
    configuration,
    rows_of,
)
from torch import Tensor, nn

from melody.models import build
from melody.training import train
from melody.training.checkpoint import load_newest
from melody.training.lanes import Lanes, Window
from melody.training.objectives import Judging, Limit, Policy
from melody.training.objectives.policy import STEPS, DrawnPieces, led_on, within

WANTED = 4  # the token that earns
PIECES, LENGTH, GROUP = 32, 12, 16


def model(seed: int, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build("residual_lstm", VOCABULARY, CHANNELS, hidden_size=8, layers=1, **options)


@torch.no_grad()
def composed(net: nn.Module, seed: int, count: int = PIECES) -> Tensor:
    """Tokens (N, LENGTH + 1) that a model draws after a 0."""
    generator = torch.Generator().manual_seed(seed)
    tokens, carry = torch.zeros(count, 1, dtype=torch.int64), net.start(count)  # type: ignore[operator]
    for _ in range(LENGTH):
        logits, carry = net(tokens[:, -1:], carry, torch.zeros(count, 1, 1, dtype=torch.int64))
        drawn = torch.multinomial(torch.softmax(logits[:, 0], dim=-1), 1, generator=generator)
        tokens = torch.cat([tokens, drawn], dim=1)
    return tokens


def draw(net: nn.Module, number: int) -> DrawnPieces:
    """Pieces in which each `WANTED` earns 1, where it stands."""
    tokens = composed(net, 1000 + number)
    earned = (tokens[:, 1:] == WANTED).float()
    return DrawnPieces(
        tokens,
        torch.zeros(PIECES, LENGTH, 1, dtype=torch.int16),
        torch.ones(PIECES, LENGTH, dtype=torch.bool),
        torch.arange(PIECES) // GROUP,
        torch.zeros(PIECES, LENGTH, dtype=torch.int64),
        earned,
        earned.sum(dim=1).mean(),
        *no_rules(PIECES, LENGTH),
    )


def no_rules(count: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Nothing forbidden, no way on, nothing at stake."""
    nowhere = torch.full((count, length), -1)
    return torch.zeros(count, length, 0, dtype=torch.bool), nowhere, torch.zeros(count, length)


def judge(net: nn.Module) -> dict[str, float]:
    tokens = composed(net, 7, 64)[:, 1:]
    return {"reward": float((tokens == WANTED).float().mean()), "distinct": float(len(tokens.unique()))}


def policy(**options: Any) -> Policy:
    return Policy(model(1), draw, judge, window=8, judged=("reward", "distinct"), **options)


def trained(folder: Path, source: Any = None, learns: Policy | None = None, **changes: Any) -> Any:
    values: dict[str, Any] = {"model": {"hidden_size": 8, "layers": 1, "dropout": 0.3}, "max_passes": 4} | changes
    config = configuration(**values)
    objective = learns or policy(kl_target=1.0, coefficient=0.1)
    return train(config, source or Counting(LENGTHS), VALID, VOCABULARY, CHANNELS, folder, objective=objective)


def window() -> Window:
    return next(Lanes(Counting(LENGTHS), 4, 8).windows(0))


def test_the_advantage_is_beyond_the_group_at_the_same_bar():
    earned = torch.tensor([[1.0, 2.0, 9.0], [3.0, 4.0, 9.0], [5.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, False], [True, True, False], [True, False, False]])
    bar = torch.tensor([[0, 1, 1], [0, 1, 1], [0, 0, 0]])
    group = torch.tensor([0, 0, 1])
    none, reward = no_rules(3, 3), torch.tensor(0.0)
    pieces = DrawnPieces(torch.zeros(3, 4), torch.zeros(3, 3, 1), mask, group, bar, earned, reward, *none)
    wanted = torch.tensor([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(pieces.advantage(), wanted)


def test_the_gradient_is_that_of_the_expected_reward():
    """One token, no context: the gradient of the expectation in closed form is p (1 - p) on the logit that earns."""
    probabilities, seen = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.zeros(4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        tokens = torch.multinomial(probabilities, 64, replacement=True, generator=generator)
        earned = (tokens == 2).float()[:, None]
        ones = torch.ones(64, 1, dtype=torch.bool)
        nothing = torch.zeros(64, 1, dtype=torch.int64)
        none, read = no_rules(64, 1), nothing[..., None]
        pieces = DrawnPieces(nothing, read, ones, nothing[:, 0], nothing, earned, torch.tensor(0.0), *none)
        logits = probabilities.log().clone().requires_grad_()
        (-(pieces.advantage()[:, 0] * torch.log_softmax(logits, 0)[tokens]).mean()).backward()
        assert logits.grad is not None
        seen += logits.grad / 200
    exact = torch.tensor([0.3 * 0.1, 0.3 * 0.2, -0.3 * 0.7, 0.3 * 0.4]) / (0.3 * 0.7) ** 0.5  # by the spread
    assert torch.allclose(seen, exact, atol=0.02)


def test_kl_is_zero_at_the_start_whatever_the_dropout():
    learns = Policy(model(1), draw, judge, window=8)
    net = model(1, dropout=0.5, weight_dropout=0.5).train()
    learns.loss(net, window(), learns.start(net, 4))
    assert abs(learns.figures()["kl"]) < 1e-7
    assert net.training
    other = model(2).train()
    learns = Policy(model(1), draw, judge, window=8)
    learns.loss(other, window(), learns.start(other, 4))
    assert learns.figures()["kl"] > 1e-3


def forbidding(net: nn.Module, number: int, way_on: int = -1) -> DrawnPieces:
    """Pieces that earn nothing, and in which `WANTED` is forbidden."""
    pieces = draw(net, number)
    forbidden = torch.zeros(PIECES, LENGTH, VOCABULARY, dtype=torch.bool)
    forbidden[..., WANTED] = True
    leads, stakes = torch.full_like(pieces.way_on, way_on), torch.full_like(pieces.stakes, 20.0)
    nothing = torch.zeros_like(pieces.earned)
    return replace(pieces, earned=nothing, forbidden=forbidden, way_on=leads, stakes=stakes)


def test_the_gradient_of_what_is_forbidden_is_exact():
    """That of -ln of the lawful mass is p less p among what is lawful."""
    logits = torch.tensor([[0.3, -1.0, 0.5, 2.0]], requires_grad=True)
    lawful = torch.tensor([[True, True, False, True]])
    among, left = within(lawful, torch.log_softmax(logits, dim=-1))
    (-left).sum().backward()
    p = torch.softmax(logits.detach(), dim=-1)
    rest = torch.where(lawful, p, 0) / p[lawful].sum()
    assert logits.grad is not None
    assert torch.allclose(logits.grad, p - rest, atol=1e-6)
    assert torch.allclose(among.exp(), rest, atol=1e-6)


def test_what_is_forbidden_becomes_the_way_on():
    """The base, led on, has the probabilities of one held by its rules; the others stay as they are."""
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]])
    forbidden = torch.tensor([[False, False, True, True], [False, False, True, False]])
    found = led_on(forbidden, torch.tensor([1, -1]), p.log()).exp()
    assert torch.allclose(found[0, :2], torch.tensor([0.1, 0.9]))
    assert torch.allclose(found[1], p[1])
    among, _ = within(~forbidden, found.log())
    assert torch.allclose(
        among.exp(), torch.tensor([[0.1, 0.9, 0, 0], [0.1 / 0.7, 0.2 / 0.7, 0, 0.4 / 0.7]]), atol=1e-6
    )


def test_rules_lead_on_by_one_token(tmp_path: Path):
    """What is forbidden is drawn no longer, and the token that leads on is drawn in its place."""
    base = model(1)
    other = WANTED - 1
    learns = Policy(
        base,
        lambda net, number: forbidding(net, number, other),
        lambda net: {"reward": float((composed(net, 7, 256)[:, 1:] == other).float().mean()), "distinct": 1.0},
        window=8,
        judged=("reward", "distinct"),
        weight=1e-9,
        kl_target=1e-3,
        coefficient=10.0,
    )
    tokens = composed(base, 7, 256)[:, 1:]
    trained(tmp_path, learns=learns, optimizer={"learning_rate": 0.02, "warmup_steps": 0}, max_passes=8)
    found = float(rows_of(tmp_path / "evaluations.csv")[-1]["reward"])
    both = float(((tokens == other) | (tokens == WANTED)).float().mean())
    assert found == pytest.approx(both, rel=0.25)
    assert found > 1.4 * float((tokens == other).float().mean())


def test_what_rules_forbid_is_no_longer_drawn_and_the_rest_stays_near_the_base(tmp_path: Path):
    base = model(1)
    learns = Policy(base, forbidding, judge, window=8, judged=("reward", "distinct"), weight=1e-9)
    learns.loss(base, window(), learns.start(base, 4))
    assert abs(learns.figures()["kl"]) < 1e-7  # among what is lawful, too
    trained(tmp_path, learns=learns, optimizer={"learning_rate": 0.02, "warmup_steps": 0})
    steps = rows_of(tmp_path / "steps.csv")
    assert float(steps[0]["forbidden"]) > 0.05 > 0.01 > float(steps[-1]["forbidden"])
    assert float(rows_of(tmp_path / "evaluations.csv")[-1]["reward"]) < 0.01


def test_drawn_pieces_are_read_once_and_drawn_anew():
    drawn: list[int] = []

    def noted(net: nn.Module, number: int) -> DrawnPieces:
        assert not net.training
        drawn.append(number)
        return draw(net, number)

    learns, net = Policy(model(1), noted, judge, window=8), model(1).train()
    for _ in range(5):  # two windows of 8 for 12 tokens
        learns.loss(net, window(), learns.start(net, 4))
    assert drawn == [0, 1, 2]


def test_windows_of_drawn_pieces_are_one_reading():
    """The losses of two windows are, together, the loss of one that holds both."""
    net, losses = model(3).train(), []
    for length in (6, 12):
        learns = Policy(model(1), draw, judge, window=length, kl_target=1e9)
        count = 12 // length
        found = [learns.loss(net, window(), learns.start(net, 4)) for _ in range(count)]
        losses.append(sum(float((loss - nats).detach()) for loss, nats, _, _ in found) / count)
    coefficient = 1 - 0.2 * 0.1  # it falls after the first window, as the KL is far below its target
    assert losses[0] == pytest.approx(losses[1], abs=abs(losses[1]) * (1 - coefficient) + 1e-4)


def test_rewards_are_learned_and_the_kl_stays_near_its_target(tmp_path: Path):
    """The optimum is known: `WANTED` alone. Without music to learn from it would come to nothing else."""
    learns = policy(kl_target=0.3, coefficient=0.1, weight=20.0)
    trained(tmp_path, learns=learns, optimizer={"learning_rate": 0.02, "warmup_steps": 0})
    rewards = [float(row["reward"]) for row in rows_of(tmp_path / "evaluations.csv")]
    assert rewards[-1] > 0.9 > 0.5 > rewards[0]
    steps = rows_of(tmp_path / "steps.csv")
    assert set(STEPS) <= steps[0].keys()
    assert float(steps[-1]["coefficient"]) > 0.1  # it pulls, since the reward does too


@pytest.mark.parametrize("after", [7, 16])
def test_a_run_with_rewards_goes_on_bit_for_bit(tmp_path: Path, after: int):
    trained(tmp_path / "whole")
    stopped = trained(tmp_path / "cut", Killing(LENGTHS, after, signal.SIGTERM))
    assert stopped.interrupted
    trained(tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_the_best_is_that_of_the_highest_reward_within_the_limits(tmp_path: Path):
    rewards, distinct = iter([1.0, 3.0, 5.0, 2.0]), iter([10.0, 9.6, 9.0, 9.9])
    learns = policy(limits=[Limit("distinct", least=0.95)])
    learns.judge_by = lambda net: {"reward": next(rewards), "distinct": next(distinct)}
    assert isinstance(learns, Judging)
    result = trained(tmp_path, learns=learns, max_passes=4)
    assert result.stopped == "max_passes"
    assert [row["best"] for row in rows_of(tmp_path / "evaluations.csv")] == ["1", "1", "0", "0"]
    best = load_newest(tmp_path, "best")
    assert best is not None
    assert best[1]["pass"] == 2


def test_a_limit_that_is_broken_twice_in_a_row_ends_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    distinct = iter([10.0, 9.0, 10.0, 9.0, 9.4])
    learns = policy(limits=[Limit("distinct", least=0.95), Limit("nats_per_note", most=1e9)])
    learns.judge_by = lambda net: {"reward": 0.0, "distinct": next(distinct)}
    result = trained(tmp_path, learns=learns, max_passes=9)
    assert (result.stopped, result.passes) == ("limits", 5)
    assert "over the limits: distinct 9.4000, below 0.95 of the base's 10.0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("limit", "value", "holds"),
    [
        (Limit("x", least=0.5), 1.0, True),
        (Limit("x", least=0.5), 0.9, False),
        (Limit("x", most=0.5), 2.5, True),
        (Limit("x", most=0.5), 2.6, False),
        (Limit("x", most=0.5), float("nan"), False),
    ],
)
def test_limits(limit: Limit, value: float, holds: bool):
    assert (limit.broken({"x": 2.0}, {"x": value}) == "") == holds


def test_evaluations_may_come_by_steps(tmp_path: Path):
    """In the midst of a pass too, and a run that is stopped there goes on bit for bit."""
    evaluation = {"steps": 4, "patience": None}
    trained(tmp_path / "whole", max_passes=2, evaluation=evaluation)
    assert [row["step"] for row in rows_of(tmp_path / "whole" / "evaluations.csv")] == ["4", "8", "12"]
    trained(tmp_path / "cut", Killing(LENGTHS, 5, signal.SIGTERM), max_passes=2, evaluation=evaluation)
    trained(tmp_path / "cut", max_passes=2, evaluation=evaluation)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")

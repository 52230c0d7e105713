"""The adversaries: what they learn to tell, what they pay for or ask for, and runs that go on bit for bit."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from support.counting import LENGTHS, VOCABULARY, Counting, Killing, assert_same_run, rows_of
from torch import Tensor, nn
from training.test_policy import LENGTH, PIECES, WANTED, draw, judge, model, trained

from melody.models.discriminator import Discriminator
from melody.training.lanes import Lanes
from melody.training.objectives import Adversarial, Judging, Policy, Wasserstein
from melody.training.objectives.adversarial import APART, FOOLED
from melody.training.objectives.wasserstein import BOUND, relaxed

WINDOW = 4  # two whole windows of the 12 tokens of a piece follow its first


def adversary(seed: int = 0) -> Discriminator:
    torch.manual_seed(seed)
    return Discriminator(VOCABULARY, width=8)


def judged(net: nn.Module) -> dict[str, float]:
    return judge(net) | {"critic": 0.75}


def adversarial(**options: Any) -> Adversarial:
    policy = Policy(model(1), draw, judged, window=WINDOW, judged=("reward", "distinct", "critic"), kl_target=1.0)
    return Adversarial(policy, adversary(), **({"learning_rate": 0.02, "silent": 1} | options))


def wasserstein(**options: Any) -> Wasserstein:
    policy = Policy(model(1), draw, judged, window=WINDOW, judged=("reward", "distinct", "critic"), kl_target=1.0)
    return Wasserstein(policy, adversary(), **({"learning_rate": 0.02, "silent": 1} | options))


def windows(count: int) -> Any:
    """Windows that are no first ones of their pieces."""
    lanes = Lanes(Counting(LENGTHS), 4, WINDOW)
    found = [one for number in range(count) for one in lanes.windows(number) if one.mask.all(dim=1).any()]
    return found[:count]


def test_a_discriminator_reads_what_is_there_in_both_directions():
    net = adversary().eval()
    tokens = torch.randint(VOCABULARY, (3, 6), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 6, dtype=torch.bool)
    found = net(tokens, mask)
    assert found.shape == (3,)
    assert net(tokens[:1], mask[:1]).allclose(found[:1], atol=1e-6)  # a row alone
    for place in (0, 5):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % VOCABULARY
        assert not net(other, mask).isclose(found).any()


def test_it_learns_to_tell_music_from_what_is_drawn():
    objective, net = adversarial(), model(1).train()
    apart = []
    for window in windows(150):
        objective.loss(net, window, objective.start(net, 4))
        apart.append(objective.figures()[APART])
    assert sum(apart[-20:]) / 20 > 0.4 > 0.1 > abs(apart[0])  # music counts, what is drawn does not


def test_what_it_takes_for_music_is_earned_by_its_window():
    """Whole windows but the first earn what it says; its first draws earn nothing."""
    objective = adversarial(weight=2.0)
    plain = draw(model(1), 0)
    assert objective.drawn(model(1), 0).earned.equal(plain.earned)
    plain, paid = draw(model(1), 1), objective.drawn(model(1), 1)
    more = paid.earned - plain.earned
    assert more[:, :WINDOW].abs().max() == 0
    for start in range(WINDOW, LENGTH, WINDOW):
        tokens: Tensor = plain.tokens[:, start : start + WINDOW]
        with torch.no_grad():
            score = torch.sigmoid(objective.discriminator(tokens, torch.ones(PIECES, WINDOW, dtype=torch.bool)))
        assert more[:, start : start + WINDOW].allclose(2 * score[:, None].expand(-1, WINDOW), atol=1e-5)


def test_the_critic_counts_among_what_makes_weights_the_best():
    objective = adversarial(weight=2.0)
    assert isinstance(objective, Judging)
    verdict = objective.judge(model(1), 1.0)
    assert verdict.cost == pytest.approx(2 * 0.75 - verdict.figures["reward"])


@pytest.mark.parametrize("make", [adversarial, wasserstein])
@pytest.mark.parametrize("after", [7, 16])
def test_a_run_with_an_adversary_goes_on_bit_for_bit(tmp_path: Path, make: Any, after: int):
    data = {"batch_size": 4, "window": WINDOW}
    trained(tmp_path / "whole", learns=make(), data=data)
    stopped = trained(tmp_path / "cut", Killing(LENGTHS, after, signal.SIGTERM), make(), data=data)
    assert stopped.interrupted
    trained(tmp_path / "cut", learns=make(), data=data)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    steps = rows_of(tmp_path / "whole" / "steps.csv")
    assert {FOOLED, APART} <= steps[0].keys()
    assert any(float(row[APART]) for row in steps)


def test_a_relaxed_token_is_the_one_that_was_drawn():
    torch.manual_seed(0)
    logits = torch.randn(2, 500, VOCABULARY, requires_grad=True)
    chosen = torch.distributions.Categorical(logits=logits.detach()).sample()
    found = relaxed(logits, chosen, 0.5)
    assert found.detach().allclose(torch.nn.functional.one_hot(chosen, VOCABULARY).float(), atol=1e-6)
    found[..., WANTED].sum().backward()
    assert logits.grad is not None
    assert (logits.grad[..., WANTED] >= 0).all()
    assert logits.grad.sum(dim=-1).abs().max() < 1e-4  # shares are of one whole


def test_what_a_token_is_worth_reaches_the_logits():
    """A value for each token, known: the model comes to draw the token of the highest one."""
    torch.manual_seed(0)
    logits, worth = torch.zeros(VOCABULARY, requires_grad=True), torch.arange(VOCABULARY) == WANTED
    for _ in range(300):
        drawn = torch.distributions.Categorical(logits=logits.detach()).sample((64,))
        value = relaxed(logits.expand(64, -1), drawn, 1.0) @ worth.float()
        (gradient,) = torch.autograd.grad(-value.mean(), logits)
        logits = (logits - 0.5 * gradient).detach().requires_grad_()
    assert torch.softmax(logits, dim=0)[WANTED] > 0.9


def test_a_wasserstein_critic_sets_people_above_what_is_drawn_within_its_bound():
    objective, net = wasserstein(), model(1).train()
    apart = []
    for window in windows(150):
        objective.loss(net, window, objective.start(net, 4))
        apart.append(objective.figures()[APART])
    assert sum(apart[-20:]) / 20 > 2 * max(0.0, sum(apart[:20]) / 20)
    assert sum(apart[-20:]) > 0
    assert all(weight.abs().max() <= BOUND for weight in objective.discriminator.parameters())


def test_a_wasserstein_critic_teaches_the_model_and_not_itself():
    """Silent draws teach only the critic; then its loss reaches the weights of the model, none of its own."""
    objective, net = wasserstein(weight=1000.0, silent=1), model(1).train()
    found: dict[int, list[float]] = {}
    for window in windows(12):
        loss, nats, *_ = objective.loss(net, window, objective.start(net, 4))
        reading = objective.policy.reading
        assert reading is not None
        found.setdefault(objective.policy.kept.drawn, []).append(float((loss - nats).detach()))
        loss.backward()
        assert all(weight.grad is None or not weight.grad.any() for weight in objective.discriminator.parameters())
    assert max(map(abs, found[1])) < 50 < max(map(abs, found[2] + found[3]))

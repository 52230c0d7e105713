"""The adversary: what it learns to tell, what it pays for, and runs that go on bit for bit."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from support.counting import LENGTHS, VOCABULARY, Counting, Killing, assert_same_run, rows_of
from torch import Tensor, nn
from training.test_policy import LENGTH, PIECES, draw, judge, model, trained

from melody.models.discriminator import Discriminator
from melody.training.lanes import Lanes
from melody.training.objectives import Adversarial, Judging, Policy
from melody.training.objectives.adversarial import APART, FOOLED

WINDOW = 4  # two whole windows of the 12 tokens of a piece follow its first


def adversary(seed: int = 0) -> Discriminator:
    torch.manual_seed(seed)
    return Discriminator(VOCABULARY, width=8)


def judged(net: nn.Module) -> dict[str, float]:
    return judge(net) | {"critic": 0.75}


def adversarial(**options: Any) -> Adversarial:
    policy = Policy(model(1), draw, judged, window=WINDOW, judged=("reward", "distinct", "critic"), kl_target=1.0)
    return Adversarial(policy, adversary(), **({"learning_rate": 0.02, "silent": 1} | options))


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


@pytest.mark.parametrize("after", [7, 16])
def test_a_run_with_an_adversary_goes_on_bit_for_bit(tmp_path: Path, after: int):
    data = {"batch_size": 4, "window": WINDOW}
    trained(tmp_path / "whole", learns=adversarial(), data=data)  # type: ignore[arg-type]
    stopped = trained(tmp_path / "cut", Killing(LENGTHS, after, signal.SIGTERM), adversarial(), data=data)  # type: ignore[arg-type]
    assert stopped.interrupted
    trained(tmp_path / "cut", learns=adversarial(), data=data)  # type: ignore[arg-type]
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    steps = rows_of(tmp_path / "whole" / "steps.csv")
    assert {FOOLED, APART} <= steps[0].keys()
    assert any(float(row[APART]) for row in steps)

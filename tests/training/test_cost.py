"""The cost of a run: told before it starts, and what minutes count."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.counting import CHANNELS, LENGTHS, VALID, VOCABULARY, Counting, assert_same_run, configuration, trained
from torch import nn

from melody.models import build
from melody.training import Base, devices, loop, train
from melody.training.cost import Cost

COST = Cost(tokens=20_000, passes=30, steps=5, seconds_a_step=2.0, seconds_an_evaluation=10.0, evaluations=30)


def test_the_estimate_counts_steps_and_evaluations() -> None:
    line = COST.line(configuration(), measures_base=False)
    assert COST.seconds == 30 * 5 * 2 + 30 * 10
    assert (
        line
        == "cost: 20,000 tokens a pass, up to 30 passes; about 10 min at 2,000 tokens/s, less where nothing improves"
    )


def test_the_estimate_knows_limits_and_the_base() -> None:
    config = configuration(max_minutes=2, evaluation={"patience": None})
    assert COST.line(config, measures_base=True) == (
        "cost: 20,000 tokens a pass, up to 30 passes; about 2 min (max_minutes) at 2,000 tokens/s; "
        "before it the base is measured, about 10 s"
    )


def test_the_cost_is_told_before_a_run_and_not_when_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path, max_passes=1)
    assert capsys.readouterr().out.splitlines()[1].startswith("cost: ")
    trained(tmp_path, max_passes=2)
    assert "cost: " not in capsys.readouterr().out


def test_the_estimate_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(tmp_path / "with")
    monkeypatch.setattr(loop, "estimate", lambda *_: COST)
    trained(tmp_path / "without")
    assert_same_run(tmp_path / "with", tmp_path / "without")


def base_of(model: nn.Module) -> Base:
    return Base("base", "0" * 64, {name: weight.numpy() for name, weight in model.state_dict().items()})


def test_minutes_do_not_count_the_measuring_of_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An evaluation takes a thousand seconds by this clock: the first is free, the one at the end is not."""
    gone = 0.0
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + gone))

    def slow(*arguments: Any, **options: Any) -> Any:
        nonlocal gone
        gone += 1000.0
        return evaluate(*arguments, **options)

    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", slow)
    config = configuration(max_passes=1, max_minutes=10)
    model = build(config.model.name, VOCABULARY, CHANNELS, **config.model.options())
    result = train(config, Counting(LENGTHS), VALID, VOCABULARY, CHANNELS, tmp_path, base=base_of(model))
    assert result.stopped == "max_passes"  # ten minutes were not over
    assert result.base_nats_per_note is not None
    assert 1000 <= result.seconds < 2000


@pytest.mark.parametrize(
    ("works", "pays", "asked", "expected"),
    [
        (True, True, "auto", True),
        (True, False, "auto", False),  # it would be imitated, and slow
        (True, False, "bf16-mixed", True),
        (False, False, "auto", False),
        (True, True, "32-true", False),
    ],
)
def test_bf16_is_chosen_where_it_pays(
    monkeypatch: pytest.MonkeyPatch, works: bool, pays: bool, asked: str, expected: bool
) -> None:
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "bf16_works", lambda: works)
    monkeypatch.setattr(devices, "bf16_pays", lambda: pays)
    assert devices.reads_in_bf16(configuration(precision=asked)) == expected

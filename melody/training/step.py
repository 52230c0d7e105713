"""One optimizer step: a window forward, its loss backward, the gradient clipped, the weights moved and averaged.

A step without a finite loss and gradient changes no weight; the lanes then start from an empty carry.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from melody.config import TrainConfig
from melody.models import carry as carries
from melody.models.carry import Carry
from melody.training.lanes import Window
from melody.training.schedule import learning_rate
from melody.training.state import RunState


@dataclass(frozen=True)
class StepResult:
    """Result of a step."""

    nats_per_token: float
    gradient_norm: float
    learning_rate: float
    tokens: int
    finite: bool


def take_step(
    fabric: Fabric, network: Any, optimizer: Any, state: RunState, window: Window, config: TrainConfig, total_steps: int
) -> StepResult:
    """Read a window and learn from it. `network` and `optimizer` are Fabric's views of the state's own."""
    rate = _set_learning_rate(state, config, total_steps)
    loss, nats, count, carry = _read(fabric, network, state, window)
    tokens = _over_ranks(fabric, count).clamp(min=1)  # pieces that came shorter may leave a last window empty
    fabric.backward(loss * (fabric.world_size / tokens))  # gradients are averaged over ranks
    norm = fabric.clip_gradients(network, optimizer, max_norm=config.optimizer.clip_norm, error_if_nonfinite=False)
    nats_per_token = float(_over_ranks(fabric, nats.detach())) / int(tokens)
    assert norm is not None  # as it is for DeepSpeed alone
    finite = bool(torch.isfinite(norm)) and bool(torch.isfinite(torch.tensor(nats_per_token)))
    if finite:
        optimizer.step()
        state.average(config.ema_decay)
    optimizer.zero_grad()
    state.carry = carries.detach(carry) if finite else state.initial
    _count(state, finite)
    return StepResult(nats_per_token, float(norm), rate, int(tokens), finite)


def _read(fabric: Fabric, network: Any, state: RunState, window: Window) -> tuple[Tensor, Tensor, Tensor, Carry]:
    """Return the loss, the nats of what followed, their number and the new carry.

    The logits, the largest tensor, end here.
    """
    with fabric.autocast():
        carry = window.begin(state.carry, state.initial, partial(state.objective.start, network))
    return state.objective.loss(network, window, carry)


def _set_learning_rate(state: RunState, config: TrainConfig, total_steps: int) -> float:
    rate = learning_rate(
        state.progress.step,
        peak=config.optimizer.learning_rate,
        warmup_steps=config.optimizer.warmup_steps,
        total_steps=total_steps,
        floor=config.optimizer.floor,
    )
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["times"]
    return rate


def _over_ranks(fabric: Fabric, value: Tensor) -> Tensor:
    if fabric.world_size == 1:
        return value
    total = fabric.all_reduce(value, reduce_op="sum")
    assert isinstance(total, Tensor)
    return total


def _count(state: RunState, finite: bool) -> None:
    progress = state.progress
    progress.step += 1
    progress.window += 1
    progress.skipped += not finite
    progress.skipped_in_a_row = 0 if finite else progress.skipped_in_a_row + 1

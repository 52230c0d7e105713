"""The cost of a run, estimated before it starts: a few steps of a copy of the model, on tokens that mean nothing.

Neither the model nor any random generator is touched, so a run is the same with the estimate and without.
"""

import copy
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from melody.config import TrainConfig
from melody.training.lanes import Lanes, Window
from melody.training.objectives import Objective
from melody.training.report import clock
from melody.training.state import RunState
from melody.training.step import take_step

WARM, TIMED = 1, 3  # steps
EVALUATION = 0.4  # of the time of training on as many tokens: there is no way back


@dataclass(frozen=True)
class Cost:
    """Cost of a run at most; it may stop sooner."""

    tokens: int  # of a pass, with padding
    passes: int
    steps: int  # of a pass
    seconds_a_step: float
    seconds_an_evaluation: float
    evaluations: int

    @property
    def seconds(self) -> float:
        """The time of all passes and evaluations."""
        return self.passes * self.steps * self.seconds_a_step + self.evaluations * self.seconds_an_evaluation

    def line(self, config: TrainConfig, measures_base: bool) -> str:
        """Return the estimate as a line for a terminal."""
        limit = config.max_minutes
        minutes = clock(self.seconds if limit is None else min(self.seconds, 60 * limit))
        why = " (max_minutes)" if limit is not None and self.seconds > 60 * limit else ""
        before = f"; before it the base is measured, about {clock(self.seconds_an_evaluation)}" if measures_base else ""
        patience = "" if config.evaluation.patience is None else ", less where nothing improves"
        speed = self.tokens / (self.steps * self.seconds_a_step)
        passes = "1 pass" if self.passes == 1 else f"up to {self.passes} passes"
        return (
            f"cost: {self.tokens:,} tokens a pass, {passes}; about {minutes}{why} "
            f"at {speed:,.0f} tokens/s{patience}{before}"
        )


def estimate(fabric: Fabric, state: RunState, config: TrainConfig, lanes: Lanes, valid_tokens: int) -> Cost:
    """Estimate what a run costs on this machine."""
    channels = len(list(state.model.channels))  # type: ignore[arg-type]
    seconds = seconds_of_a_step(fabric, state.model, state.objective, config, channels)
    steps, size = lanes.windows_in_pass(), config.data.batch_size * config.data.window
    between = config.evaluation.steps or config.evaluation.every * steps
    evaluations = -(-config.max_passes * steps // between)
    evaluation = EVALUATION * seconds / size * valid_tokens
    return Cost(steps * size, config.max_passes, steps, seconds, evaluation, evaluations)


def seconds_of_a_step(
    fabric: Fabric, model: nn.Module, objective: Objective, config: TrainConfig, channels: int
) -> float:
    """Return the median time of a few steps of a copy of the model."""
    with torch.random.fork_rng([fabric.device] if fabric.device.type == "cuda" else []):
        copies = copy.deepcopy((model, objective))
        mine = RunState.fresh(copies[0], config.optimizer, config.data.batch_size, copies[1])
        network, optimizer = fabric.setup(mine.model, mine.optimizer)
        network.train()
        window = nothing(config, channels).to(fabric.device)
        times = []
        for _ in range(WARM + TIMED):
            began = time.monotonic()
            take_step(fabric, network, optimizer, mine, window, config, 1000)
            times.append(time.monotonic() - began)
    return median(times[WARM:])


def nothing(config: TrainConfig, channels: int) -> Window:
    """Return a full window of the first token."""
    shape = (config.data.batch_size, config.data.window)
    zeros, all_of_them = torch.zeros(shape, dtype=torch.int64), torch.ones(shape, dtype=torch.bool)
    context: Any = torch.zeros((*shape, channels), dtype=torch.int64)
    return Window(zeros, zeros, context, all_of_them, torch.ones(shape[0], dtype=torch.bool))

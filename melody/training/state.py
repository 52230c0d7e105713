"""The state of a run: everything that a step reads and changes, and its way into a checkpoint and back.

Weights, averaged weights (EMA), optimizer moments, carry, random states and position: with these restored, a run goes
on bit for bit as if it had never stopped.
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from melody.config import OptimizerConfig
from melody.models import carry as carries
from melody.models.carry import Carry
from melody.training.objectives import CrossEntropy, Objective


@dataclass
class Progress:
    """Progress of a run; a checkpoint keeps it as JSON."""

    step: int = 0  # optimizer steps tried, skipped ones included
    pass_: int = 0  # passes finished
    window: int = 0  # windows of this pass that are done
    evaluations: int = 0  # those that were due, done
    best_nats_per_note: float | None = None
    best_cost: float | None = None  # by which it is the best: the nats, or what an objective judges by
    best_pass: int = 0
    waiting: int = 0  # evaluations since the best
    skipped: int = 0  # steps without a finite loss
    skipped_in_a_row: int = 0
    seconds: float = 0.0  # of training and evaluating, over all sessions
    evaluated_step: int | None = None  # of the latest evaluation
    ended: bool = False  # by an objective that judges, see `melody.training.objectives.verdict`
    base_nats_per_note: float | None = None  # of the weights that the run started from, where they were a base's


@dataclass
class RunState:
    """Everything that a step changes. `averaged` is a copy of the model that holds the moving average of its weights.

    The carry is the objective's: the model's own, with whatever else it remembers for each lane.
    """

    model: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    initial: Carry
    carry: Carry
    objective: Objective
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def fresh(
        cls,
        model: nn.Module,
        config: OptimizerConfig,
        lanes: int,
        objective: Objective | None = None,
        new: Collection[str] = (),
    ) -> "RunState":
        """Return the state before the first step, with `lanes` lanes in this process; by default for cross entropy.

        `new` are the weights that a base did not know.
        """
        objective = objective or CrossEntropy(config.label_smoothing)
        initial = carries.detach(objective.start(model, lanes))
        averaged = copy.deepcopy(model).requires_grad_(False).eval()
        return cls(model, averaged, make_optimizer(model, config, new), initial, initial, objective)

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Move the averaged weights towards the present ones; early on faster, so that the start is forgotten."""
        decay = min(decay, (1 + self.progress.step) / (10 + self.progress.step))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.model.parameters()), 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of this process by name, without the carry and the random states."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "objective": self.objective.state(),
            **{f"optimizer.{name}": self.optimizer.state[weight] for name, weight in self._moments()},
        }
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Take over what `tensors` gave, in place."""
        self.model.load_state_dict(part_of(tensors, "model"))
        self.averaged.load_state_dict(part_of(tensors, "averaged"))
        self.objective.restore(part_of(tensors, "objective"))
        for name, weight in self.model.named_parameters():
            moments = part_of(tensors, f"optimizer.{name}")
            if moments:
                self.optimizer.state[weight] = {key: value.to(weight.device) for key, value in moments.items()}
        self.progress = Progress(**progress)

    def info(self) -> dict[str, Any]:
        """The progress as JSON."""
        return asdict(self.progress)

    def _moments(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight in self.optimizer.state]


def make_optimizer(model: nn.Module, config: OptimizerConfig, new: Collection[str] = ()) -> torch.optim.AdamW:
    """AdamW (arXiv:1711.05101) that lets matrices decay, but no biases and no embeddings, nor what is `new`.

    A group's `times` is what the learning rate is multiplied by.
    """
    tables = {id(weight) for part in model.modules() if isinstance(part, nn.Embedding) for weight in part.parameters()}
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    unknown: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        if name in new:
            unknown.append(weight)
            continue
        decays = weight.dim() > 1 and id(weight) not in tables and not name.endswith("bias")
        (decaying if decays else others).append(weight)
    groups = [
        {"params": decaying, "weight_decay": config.weight_decay, "times": 1.0},
        {"params": others, "weight_decay": 0.0, "times": 1.0},
        *[{"params": unknown, "weight_decay": 0.0, "times": config.new_channels}] * bool(unknown),
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators that this process draws from."""
    states = {"cpu": torch.get_rng_state()}
    return {**states, "cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def restore_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the generators to states of `random_states`."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors whose name begins with ``part.``, by the rest of their names."""
    return {name[len(part) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(part + ".")}


def rows_of(carry: Carry, like: Carry, rank: int) -> Carry:
    """The share of a rank in a carry of all ranks' lanes, on the device of `like`."""
    return carries.map_tensors(
        lambda whole, part: whole[rank * len(part) : (rank + 1) * len(part)].to(part.device), carry, like
    )

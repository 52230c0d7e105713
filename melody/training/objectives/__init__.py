"""Objectives: what a training step minimises, one file each.

    objective.start(model, batch_size, condition=None) -> carry
    objective.loss(network, window, carry) -> (loss, nats, count, carry)

`loss` is a sum to minimise, `nats` the plain cross entropy of what followed, for the log, `count` the number of its
tokens. The carry is the model's, with whatever else the objective must remember for each lane. What it learns or counts
for all lanes together is its `state()`, which checkpoints keep. An objective sees tokens, and no note: a musical reward
comes in as a callable. One that judges by more than nats has a say in which weights are the best, see `verdict`.

To add an objective: one file and one line in `OBJECTIVES` here, one section in `melody.config`, and one line in
`melody.learning.objectives`, which makes it from its section.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from torch import Tensor, nn

from melody.models.carry import Carry
from melody.training.lanes import Window
from melody.training.objectives.adversarial import Adversarial
from melody.training.objectives.cross_entropy import CrossEntropy
from melody.training.objectives.distilled import Distilled
from melody.training.objectives.policy import Policy
from melody.training.objectives.verdict import Judging, Limit, Verdict
from melody.training.objectives.wasserstein import Wasserstein

# (a sum to minimise, the nats of what followed, the number of its tokens, the carry after the window)
Loss: TypeAlias = tuple[Tensor, Tensor, Tensor, Carry]


class Objective(Protocol):
    """A training objective; see the package."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Settings that a run cannot change on the way, by section, as JSON."""

    def start(self, model: nn.Module, batch_size: int, condition: Carry | None = None) -> Carry:
        """Return the carry before the first token of a piece."""

    def loss(self, network: Any, window: Window, carry: Carry) -> Loss:
        """Read a window: (loss, nats, count, carry). `network` is Fabric's view of the model."""

    def state(self) -> dict[str, Tensor]:
        """Return the objective's own tensors by name, the same in every process."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""


OBJECTIVES = {"cross_entropy": CrossEntropy, "distilled": Distilled, "policy": Policy, "adversarial": Adversarial}

__all__ = [
    "OBJECTIVES",
    "Adversarial",
    "CrossEntropy",
    "Distilled",
    "Judging",
    "Limit",
    "Loss",
    "Objective",
    "Policy",
    "Verdict",
    "Wasserstein",
]

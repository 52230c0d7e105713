"""Distillation: a model learns what followed, and how likely finished models find all that might have followed.

The loss is (1 - weight) x cross entropy with what followed + weight x cross entropy with the mean probability of the
teachers (Hinton et al. 2015, arXiv:1503.02531), their logits divided by a temperature. Several teachers that err in
different ways are better together than each of them; the student comes near to them at the price of one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from melody.models.carry import Carry
from melody.training.lanes import Window
from melody.training.objectives.cross_entropy import cross_entropy


class Distilled:
    """An objective with teachers, which read along with the student in fp32; see `melody.training.objectives`.

    Its carry is a pair: the student's, and a tuple of the teachers'.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        weight: float,
        temperature: float,
        hashes: Sequence[str] = (),
        smoothing: float = 0.0,
    ) -> None:
        """`models` have learned the student's tokens; `hashes` tell their weights, so that a run keeps its teachers."""
        self.hashes = list(hashes)
        self.models = [model.eval().requires_grad_(False) for model in models]
        self.weight, self.temperature, self.smoothing = weight, temperature, smoothing

    @property
    def identity(self) -> Mapping[str, Any]:
        """The teachers' weights, and how they are heard."""
        told = {"teachers": self.hashes, "weight": self.weight, "temperature": self.temperature}
        return {"objective": {"name": "distilled", **told}}

    def start(self, model: nn.Module, batch_size: int, condition: Carry | None = None) -> Carry:
        """Return the student's carry and the teachers', on the student's device."""
        device = next(model.parameters()).device
        theirs = tuple(teacher.to(device).start(batch_size, condition) for teacher in self.models)  # type: ignore[operator]
        return model.start(batch_size, condition), theirs  # type: ignore[operator]

    def loss(self, network: Any, window: Window, carry: Carry) -> tuple[Tensor, Tensor, Tensor, Carry]:
        """Read a window: (loss, nats, count, carry)."""
        assert isinstance(carry, tuple)
        own, theirs = carry
        wanted, theirs = self.read(window, theirs)
        logits, own = network(window.tokens, own, window.context)
        nats, count = cross_entropy(logits, window.targets, window.mask, self.smoothing)
        loss = torch.lerp(nats, soft_cross_entropy(logits, wanted, window.mask), self.weight)
        return loss, nats, count, (own, theirs)

    @torch.no_grad()
    def read(self, window: Window, carry: Carry) -> tuple[Tensor, Carry]:
        """Return the teachers' probabilities (B, T, V) at each place of a window, and their carry after it."""
        mean: Tensor | None = None
        after: list[Carry] = []
        for model, own in zip(self.models, carry, strict=True):
            logits, new = model(window.tokens, own, window.context)
            share = torch.softmax(logits.float() / self.temperature, dim=-1) / len(self.models)
            mean = share if mean is None else mean + share
            after.append(new)
        assert mean is not None
        return mean, tuple(after)

    def state(self) -> dict[str, Tensor]:
        """Return nothing: what the teachers know between windows is part of the carry."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over nothing."""


def soft_cross_entropy(logits: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Return the sum of the nats of probabilities `wanted` (B, T, V) under logits (B, T, V) where mask is true."""
    nats = -(wanted * torch.log_softmax(logits.float(), dim=-1)).sum(dim=-1)
    return torch.where(mask, nats, 0).sum()

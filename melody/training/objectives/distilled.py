"""Distillation: a model learns not only what followed, but how likely finished models find all that might have.

The loss is (1 - weight) x cross entropy with what followed + weight x cross entropy with the mean probability of the
teachers (Hinton et al. 2015, arXiv:1503.02531), their logits divided by a temperature. Several teachers that err in
different ways are better together than each of them; the student comes near to them at the price of one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from melody.models.carry import Carry
from melody.training.lanes import Window


class Teachers:
    """Finished models of the student's tokens, which read along with it, in fp32."""

    def __init__(
        self, models: Sequence[nn.Module], weight: float, temperature: float, hashes: Sequence[str] = ()
    ) -> None:
        """`hashes` say of which weights the models are: a run goes on with the same teachers alone."""
        self.hashes = list(hashes)
        self.models = [model.eval().requires_grad_(False) for model in models]
        self.weight, self.temperature = weight, temperature

    def initial_carry(self, lanes: int, device: torch.device) -> Carry:
        """What they know before the first token of a piece."""
        return tuple(model.to(device).initial_carry(lanes, device) for model in self.models)  # type: ignore[operator]

    @torch.no_grad()
    def read(self, window: Window, carry: Carry) -> tuple[Tensor, Carry]:
        """How likely they find each token (B, T, V) at each place of a window, and what they know after it."""
        mean: Tensor | None = None
        after: list[Carry] = []
        for model, own in zip(self.models, carry, strict=True):
            known = window.context[:, :, : len(list(model.channels))]  # type: ignore[arg-type]
            logits, new = model(window.tokens, own, known)
            share = torch.softmax(logits.float() / self.temperature, dim=-1) / len(self.models)
            mean = share if mean is None else mean + share
            after.append(new)
        assert mean is not None
        return mean, tuple(after)


def soft_cross_entropy(logits: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Nats of probabilities `wanted` (B, T, V) under logits (B, T, V) where mask (B, T) is true: their sum."""
    nats = -(wanted * torch.log_softmax(logits.float(), dim=-1)).sum(dim=-1)
    return torch.where(mask, nats, 0).sum()

"""Cross entropy in nats over the tokens that are there, as a sum and a count, so that means come last."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from melody.models.carry import Carry
from melody.training.lanes import Window

PADDING = -100


def cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the sum of the nats of targets (B, T) under logits (B, T, V) where mask (B, T) is true, and their number.

    `smoothing` is label smoothing (Szegedy et al. 2015, arXiv:1512.00567); above 0 the sum is no longer a likelihood.
    """
    wanted = torch.where(mask, targets, PADDING)
    nats = functional.cross_entropy(
        logits.float().flatten(0, 1),
        wanted.flatten(),
        ignore_index=PADDING,
        reduction="sum",
        label_smoothing=smoothing,
    )
    return nats, mask.sum()


class CrossEntropy:
    """The objective of ordinary training; see `melody.training.objectives`."""

    def __init__(self, smoothing: float = 0.0) -> None:
        self.smoothing = smoothing

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing: label smoothing may change on the way."""
        return {}

    def start(self, model: nn.Module, batch_size: int, condition: Carry | None = None) -> Carry:
        """Return the model's own carry."""
        carry: Carry = model.start(batch_size, condition)  # type: ignore[operator]
        return carry

    def loss(self, network: Any, window: Window, carry: Carry) -> tuple[Tensor, Tensor, Tensor, Carry]:
        """Read a window: (loss, nats, count, carry)."""
        logits, carry = network(window.tokens, carry, window.context)
        nats, count = cross_entropy(logits, window.targets, window.mask, self.smoothing)
        return nats, nats, count, carry

    def state(self) -> dict[str, Tensor]:
        """Return nothing: it learns nothing itself."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over nothing."""

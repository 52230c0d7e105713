"""The loss: cross entropy in nats over the tokens that are there, as a sum and a count, so that means come last."""

import torch
from torch import Tensor
from torch.nn import functional

PADDING = -100


def cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Nats of targets (B, T) under logits (B, T, V) where mask (B, T) is true: their sum, and how many there are.

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

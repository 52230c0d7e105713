"""Training of the small networks beside a model: planner, harmonist, feel. A minute or two each, on one core.

AdamW with one cycle of the learning rate; of the weights after each pass those are kept to which held-out pieces cost
least.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Weights = dict[str, Any]  # of tensors


def drawn(shapes: Mapping[str, tuple[int, ...]], scale: Callable[[str], float]) -> Weights:
    """Weights drawn from a normal distribution of the `scale` that each name has."""
    import torch

    return {name: torch.nn.Parameter(torch.randn(shape) * scale(name)) for name, shape in shapes.items()}


def fit(
    weights: Weights,
    losses: Callable[[Weights], Iterator["torch.Tensor"]],
    held_out: Callable[[Weights], "torch.Tensor"],
    *,
    passes: int,
    batches: int,
    learning_rate: float,
    weight_decay: float,
) -> dict[str, NDArray[np.float32]]:
    """Move weights by the losses of each pass, one a batch; return the best by what the held-out pieces cost."""
    import torch

    optimizer = torch.optim.AdamW(weights.values(), learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=passes * batches)
    least, best = float("inf"), weights
    for _ in range(passes):
        for loss in losses(weights):
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            nats = float(held_out(weights))
        if nats < least:
            least, best = nats, {name: weight.detach().clone() for name, weight in weights.items()}
    return {name: weight.detach().numpy() for name, weight in best.items()}


def states(weights: Weights, x: "torch.Tensor") -> "torch.Tensor":
    """h (B, T, D) of an LSTM over inputs (B, T, D), with the weights weight_ih, weight_hh and bias."""
    import torch

    zeros = x.new_zeros(1, len(x), x.shape[-1])
    parts = [weights["weight_ih"], weights["weight_hh"], weights["bias"], torch.zeros_like(weights["bias"])]
    h: torch.Tensor = torch.lstm(x, (zeros, zeros), parts, True, 1, 0.0, True, False, True)[0]
    return h

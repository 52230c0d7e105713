"""Nats per note of a model over whole pieces: the carry goes through each piece, chance plays no part.

The sum of -ln p(all tokens, end included | BOS), divided by the number of notes, compares tokenizers and models.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from melody.training.lanes import Lanes, PieceSource
from melody.training.objectives.cross_entropy import cross_entropy


@dataclass(frozen=True)
class HeldOutCost:
    """Cost of held-out pieces."""

    nats: float
    tokens: int
    notes: int
    temperature: float = 1.0  # by which logits were divided

    @property
    def nats_per_token(self) -> float:
        """Bound to the tokenizer."""
        return self.nats / max(1, self.tokens)

    @property
    def nats_per_note(self) -> float:
        """Comparable between tokenizers."""
        return self.nats / max(1, self.notes)


def evaluate(
    model: nn.Module,
    source: PieceSource,
    *,
    batch_size: int = 16,
    window: int = 128,
    temperature: float = 1.0,
    rank: int = 0,
    ranks: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> HeldOutCost | None:
    """The nats of a model over all pieces of a source that does not augment; None where `stop` cut it short.

    Logits are divided by `temperature` (Guo et al. 2017, arXiv:1706.04599).
    With several ranks each counts the pieces of its own lanes; the notes are those of the whole source.
    """
    device = next(model.parameters()).device
    lanes = Lanes(source, batch_size, window, rank=rank, ranks=ranks)
    initial = model.start(batch_size // ranks)  # type: ignore[operator]
    carry, nats, tokens = initial, 0.0, 0
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for item in lanes.windows(0):
                if stop():
                    return None
                here = item.to(device)
                carry = here.begin(carry, initial, model.start)  # type: ignore[arg-type]
                logits, carry = model(here.tokens, carry, here.context)
                total, count = cross_entropy(logits / temperature, here.targets, here.mask)
                nats, tokens = nats + total.item(), tokens + int(count)
    finally:
        model.train(was_training)
    return HeldOutCost(nats, tokens, int(source.notes.sum()), temperature)

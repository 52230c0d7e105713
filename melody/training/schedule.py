"""The learning rate as a function of the step: linear warm-up, then a cosine down to a floor (arXiv:1608.03983)."""

import math


def learning_rate(step: int, *, peak: float, warmup_steps: int, total_steps: int, floor: float = 0.0) -> float:
    """The learning rate of step `step` (from 0); from `total_steps` on it stays at `floor` times `peak`."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))

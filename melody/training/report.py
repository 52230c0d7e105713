"""The rows and lines of a run's log: numbers in, words out."""

import math
from typing import Any

from melody.config import TrainConfig, at_temperature
from melody.training.evaluate import HeldOutCost
from melody.training.objectives import Verdict
from melody.training.state import Progress
from melody.training.step import StepResult


def step_row(progress: Progress, result: StepResult, seconds: float) -> dict[str, Any]:
    """The row of a step that took `seconds`."""
    return {
        "step": progress.step,
        "pass": progress.pass_,
        "nats_per_token": result.nats_per_token,
        "learning_rate": result.learning_rate,
        "gradient_norm": result.gradient_norm,
        "tokens_per_second": round(result.tokens / seconds),
    }


def step_line(progress: Progress, result: StepResult, tokens_per_second: float, seconds_left: float) -> str:
    """A step on the terminal."""
    best = "-" if progress.best_nats_per_note is None else f"{progress.best_nats_per_note:.4f}"
    return (
        f"pass {progress.pass_} step {progress.step}  loss {result.nats_per_token:.4f}  best {best} nats per note  "
        f"{tokens_per_second:,.0f} tokens/s  {clock(seconds_left)} left"
    )


def evaluation_row(progress: Progress, evaluation: HeldOutCost, better: bool) -> dict[str, Any]:
    """The row of an evaluation."""
    return {
        "step": progress.step,
        "pass": progress.pass_,
        "nats_per_note": evaluation.nats_per_note,
        "nats_per_token": evaluation.nats_per_token,
        "best": int(better),
        "seconds": round(progress.seconds, 1),
    }


def evaluation_line(progress: Progress, evaluation: HeldOutCost, better: bool, train_nats_per_token: float) -> str:
    """An evaluation on the terminal."""
    if not progress.step:
        return f"before: valid {evaluation.nats_per_note:.4f} nats per note, {evaluation.nats_per_token:.4f} per token"
    at = at_temperature(evaluation.temperature)
    note = "best" if better else f"best {progress.best_nats_per_note:.4f} at pass {progress.best_pass}"
    return (
        f"pass {progress.pass_}: valid {evaluation.nats_per_note:.4f} nats per note{at} ({note}), "
        f"{evaluation.nats_per_token:.4f} per token, train {train_nats_per_token:.4f}; {clock(progress.seconds)}"
    )


def verdict_line(verdict: Verdict) -> str:
    """Continue the line of an evaluation with the figures of a judgement, and the limits that are broken."""
    figures = "".join(f"; {name} {value:.3f}" for name, value in verdict.figures.items())
    return figures + f"; over the limits: {verdict.broken}" * bool(verdict.broken)


def share_and_seconds_left(progress: Progress, config: TrainConfig, windows_in_pass: int) -> tuple[float, float]:
    """Return the share of a run that is done, in (0, 1], and the seconds it may still take."""
    share = (progress.pass_ + progress.window / windows_in_pass) / config.max_passes
    left = progress.seconds * (1 - share) / share
    if config.max_minutes is not None:
        share = max(share, progress.seconds / (60 * config.max_minutes))
        left = min(left, 60 * config.max_minutes - progress.seconds)
    return min(share, 1.0), max(left, 0.0)


def clock(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 12 min, 1:05 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 60 else f"{minutes} min"

"""Verdicts: how an objective other than likelihood judges what a model composes, and the limits that it keeps.

An objective that judges (`Judging`) has a say in which weights are the best, in the tables of a run, and in its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn


@dataclass(frozen=True)
class Limit:
    """Limit of a figure beside that of the base: a share of it at least, or so much more at most."""

    figure: str
    least: float | None = None
    most: float | None = None

    def broken(self, first: Mapping[str, float], now: Mapping[str, float]) -> str:
        """Return a line where a figure breaks it, else nothing."""
        base, found = first[self.figure], now[self.figure]
        if self.least is not None and not found >= self.least * base:
            return f"{self.figure} {found:.4f}, below {self.least:g} of the base's {base:.4f}"
        if self.most is not None and not found <= base + self.most:
            return f"{self.figure} {found:.4f}, over {self.most:g} above the base's {base:.4f}"
        return ""


@dataclass(frozen=True)
class Verdict:
    """Judgement of a model: its figures, its cost (the least is best), and which limits it breaks."""

    figures: Mapping[str, float]
    cost: float
    broken: str = ""
    ends: bool = False  # the run


@runtime_checkable
class Judging(Protocol):
    """An objective that judges what the model composes."""

    @property
    def columns(self) -> tuple[Sequence[str], Sequence[str]]:
        """Names of the figures of a step, and of an evaluation, always the same."""

    def figures(self) -> Mapping[str, float]:
        """Return the figures of the latest step."""

    def judge(self, model: nn.Module, nats_per_note: float) -> Verdict:
        """Judge a model that costs the valid split so much."""

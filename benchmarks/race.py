"""Races: what is compared takes turns, so that a busy machine slows all alike, and what is reported are ratios.

A contestant is a function that does some work and returns the seconds it took for one unit of it. In each round every
contestant runs once, in an order that turns; a ratio is the median over rounds of one's seconds over another's in the
same round. Beside it stands the ratio of both minimums, the machine's quietest moments: where the two disagree much,
the machine was too busy to tell.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Contestant = Callable[[], float]  # seconds a unit
Times = Mapping[str, NDArray[np.float64]]  # (rounds,) of each contestant
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Result:
    """A ratio beside its goal."""

    name: str
    median: float
    of_minimums: float
    goal: float
    at_most: bool = False  # the goal is a limit from above
    slack: float = 0.0  # share by which noise may miss it

    @property
    def missed_by(self) -> float:
        """The share of the goal that is lacking, or too much; 0 where it is met."""
        lacking = self.median / self.goal - 1 if self.at_most else 1 - self.median / self.goal
        return max(0.0, lacking) if lacking > self.slack else 0.0

    @property
    def verdict(self) -> str:
        """``met`` or ``missed by 40 %``."""
        return f"missed by {self.missed_by:.0%}".replace("%", " %") if self.missed_by else "met"


def race(contestants: Mapping[str, Contestant], rounds: int) -> Times:
    """The seconds of each contestant in each round; a first round warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(contestants[name]())
    return {name: np.array(seconds[1:]) for name, seconds in times.items()}


def ratio(name: str, slow: NDArray[np.float64], fast: NDArray[np.float64], goal: float) -> Result:
    """Return how many times as fast the one is as the other."""
    return Result(name, float(np.median(slow / fast)), float(slow.min() / fast.min()), goal)


def one_thread() -> None:
    """One thread for all that reads these variables when it is imported."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def report(title: str, facts: Sequence[str], results: Sequence[Result], as_json: bool) -> str:
    """The results as a table, or as JSON."""
    if as_json:
        rows = [asdict(result) | {"verdict": result.verdict} for result in results]
        return json.dumps({"title": title, "machine": machine(), "facts": list(facts), "results": rows}, indent=1)
    width = max(len(result.name) for result in results)
    lines = [title, machine(), "", *facts, "", f"{'':{width}}   median  of minimums     goal"]
    for result in results:
        goal = f"{'<=' if result.at_most else '>='} {result.goal:g}"
        numbers = f"{_number(result.median):>8} {_number(result.of_minimums):>12} {goal:>8}"
        lines.append(f"{result.name:{width}} {numbers}  {result.verdict}")
    return "\n".join(lines)


def machine() -> str:
    """The machine in words."""
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

"""From logits to a token: temperature, top-k, nucleus and min-p, each a pure function on logits (V,).

A token that is out of the running has the logit -inf. The order is temperature, top-k, nucleus (Holtzman et al. 2019,
arXiv:1904.09751), min-p (Nguyen et al. 2024, arXiv:2407.01082); temperature 0 is greedy.

All this runs once a token, on the few that may follow: there `x[x.argmax()]` costs a quarter of `x.max()`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.errors import UsageError
from melody.generation.checks import check_types

Logits = NDArray[Any]  # float32 or float64


@dataclass(frozen=True)
class Sampling:
    """Settings of the choice of a token. The defaults change nothing: pure sampling from the model.

    A `top_p` of None is that which suits the model best, as its bundle says; it is settled before anything is drawn.
    """

    temperature: float = 1.0  # 0: greedy
    top_k: int = 0  # 0: off
    top_p: float | None = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.temperature <= 10:
            raise UsageError(f"`temperature` must lie in [0, 10], got {self.temperature:g}; 0 is greedy")
        if self.top_k < 0:
            raise UsageError(f"`top_k` must be 1 or more, or 0 for off, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"`top_p` must lie in (0, 1], got {self.top_p:g}; for greedy decoding use `temperature` 0")
        if not 0 <= self.min_p < 1:
            raise UsageError(f"`min_p` must lie in [0, 1), got {self.min_p:g}; 0 is off")

    @property
    def is_greedy(self) -> bool:
        """Return True where the likeliest token is taken each time, so that chance has no part in a take."""
        return self.temperature == 0 or self.top_k == 1


def choose(logits: Logits, sampling: Sampling, generator: np.random.Generator) -> int:
    """The index of the token drawn; exactly one random number is used, unless the choice is greedy or there is none."""
    if sampling.temperature == 0 or len(logits) == 1:
        return int(logits.argmax())
    mass = np.exp(shaped(logits.astype(np.float64), sampling)).cumsum()
    return int(mass.searchsorted(generator.random() * mass[-1], side="right"))


def shaped(logits: Logits, sampling: Sampling) -> Logits:
    """The logits to draw from: after temperature, which must not be 0, and then all that leaves tokens out."""
    chosen: Logits = (logits - logits[logits.argmax()]) / max(sampling.temperature, 1e-6)  # below it only overflows
    if sampling.top_k:
        chosen = top_k(chosen, sampling.top_k)
    if sampling.top_p is not None and sampling.top_p < 1:
        chosen = nucleus(chosen, sampling.top_p)
    if sampling.min_p:
        chosen = min_p(chosen, sampling.min_p)
    return chosen


def top_k(logits: Logits, k: int) -> Logits:
    """The k largest stay (the earlier ones among equals)."""
    if k >= len(logits):
        return logits
    return _without(logits, (-logits).argsort(kind="stable")[k:])


def nucleus(logits: Logits, top_p: float) -> Logits:
    """The smallest set of the likeliest tokens with at least the mass `top_p` stays; 1.0 changes nothing."""
    if top_p >= 1:
        return logits
    order = (-logits).argsort(kind="stable")
    mass = np.exp(logits - logits[order[0]], dtype=np.float64)[order].cumsum()
    return _without(logits, order[int(mass.searchsorted(top_p * mass[-1])) + 1 :])


def min_p(logits: Logits, share: float) -> Logits:
    """Tokens at least `share` times as likely as the likeliest stay."""
    return np.where(logits >= logits.max() + np.log(share), logits, -np.inf) if share > 0 else logits


def log_probability(logits: Logits, token: int, lawful: NDArray[np.bool_] | None = None) -> float:
    """ln p(token) under logits, which may hold -inf; of the `lawful` tokens (V,) alone where these are given."""
    running = logits if lawful is None else logits[lawful]
    top = float(running[running.argmax()])
    return float(logits[token]) - top - float(np.log(np.exp(running - top, dtype=np.float64).sum()))


def _without(logits: Logits, dropped: NDArray[np.integer]) -> Logits:
    result = logits.copy()
    result[dropped] = -np.inf
    return result

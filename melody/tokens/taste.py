"""Taste: how human composed bars seem, by their statistics (`melody.tokens.bar_statistics`).

A forest of decision trees that has learned to tell a model's continuations from what people wrote: each tree asks for a
statistic, goes left where it is at most a threshold, and its leaf says how many of the bars that came there were human.
A take may be ranked by the mean over the trees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.tokens.bar_statistics import Row, change_of, form_of, line_of
from melody.tokens.plan import Bar

ARRAYS = ("statistic", "threshold", "left", "right", "human")
MOST_TREES, MOST_NODES = 1000, 1000
MISSING = 0.0  # of a statistic that bars do not have


@dataclass(frozen=True)
class Taste:
    """A forest; its arrays are (trees, nodes), node 0 is the root, a leaf is its own left and right."""

    names: tuple[str, ...]  # of the statistics
    statistic: NDArray[np.int64]  # place in `names`
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    human: NDArray[np.float32]  # share

    @classmethod
    def of(cls, names: Sequence[str], arrays: Mapping[str, NDArray[np.floating]]) -> "Taste":
        """A taste from arrays by their names. Raises `ValueError` for what is no forest."""
        if sorted(arrays) != sorted(ARRAYS) or not names:
            raise ValueError(f"is no taste: it should hold {', '.join(ARRAYS)}")
        shape = arrays["left"].shape
        if any(arrays[name].shape != shape for name in ARRAYS) or len(shape) != 2:
            raise ValueError("is no taste: its arrays should be of one shape, (trees, nodes)")
        if not (0 < shape[0] <= MOST_TREES and 0 < shape[1] <= MOST_NODES):
            raise ValueError(f"is no taste: it should have up to {MOST_TREES} trees of up to {MOST_NODES} nodes")
        statistic, left, right = (arrays[name].astype(np.int64) for name in ("statistic", "left", "right"))
        own = np.arange(shape[1])
        if not (_within(statistic, len(names)) and _within(left, shape[1]) and _within(right, shape[1])):
            raise ValueError("is no taste: a node names a statistic or a node that is not there")
        if not (((left > own) & (right > own)) | ((left == own) & (right == own))).all():
            raise ValueError("is no taste: a node should lead to later ones, or be a leaf")
        human = np.asarray(arrays["human"], np.float32)
        return cls(tuple(names), statistic, np.asarray(arrays["threshold"], np.float32), left, right, human)

    def arrays(self) -> dict[str, NDArray[np.floating]]:
        """Return what `of` takes, as a file holds it: places and shares fit 16 bits, thresholds do not."""
        kinds = {name: np.float32 if name == "threshold" else np.float16 for name in ARRAYS}
        return {name: np.ascontiguousarray(getattr(self, name), kind) for name, kind in kinds.items()}

    def humanity(self, given: Sequence[Bar], new: Sequence[Bar]) -> float:
        """The share of votes, 0 to 1, that people wrote `new` after `given`; no bar may be given."""
        row = described(given, new)
        return float(self.votes(np.array([[row.get(name, MISSING) for name in self.names]], np.float32))[0])

    def votes(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """The mean (N,) over the trees of rows (N, names) of statistics."""
        trees = np.arange(len(self.left))
        node = np.zeros((len(values), len(trees)), np.int64)
        while True:
            asked = np.take_along_axis(np.asarray(values, np.float32), self.statistic[trees, node], axis=1)
            below = asked <= self.threshold[trees, node]
            after = np.where(below, self.left[trees, node], self.right[trees, node])
            if (after == node).all():
                return np.asarray(self.human[trees, node].mean(axis=1), np.float32)
            node = after


def described(given: Sequence[Bar], new: Sequence[Bar]) -> Row:
    """The statistics of new bars after given ones, of which there may be none."""
    rows = form_of(given, new) | line_of(new) | {"bars given": float(len(given))}
    if given:
        rows |= change_of(given, new)
    return {name: float(np.nan_to_num(value, nan=-1.0)) for name, value in rows.items()}


def _within(values: NDArray[np.int64], count: int) -> bool:
    return bool(((values >= 0) & (values < count)).all())

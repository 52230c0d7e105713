"""Scores for intervals, beside those for pitches: what a state thinks of a step up, a third over the bass, a tonic.

With them a model learns what is alike in every key and range once, and not for each pitch anew. Which score belongs to
which token is decided elsewhere (`melody.tokens.intervals`): here are only numbers and places.
"""

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class IntervalPlaces(Protocol):
    """See `melody.tokens.intervals.IntervalView`."""

    @property
    def tokens(self) -> NDArray[Any]: ...

    @property
    def columns(self) -> NDArray[Any]: ...

    @property
    def first(self) -> NDArray[Any]: ...

    @property
    def places(self) -> NDArray[Any]: ...

    @property
    def scores(self) -> int: ...


class IntervalHead(nn.Module):
    """Adds to the logits of pitch tokens the scores of their intervals to what the context tells of."""

    tokens: Tensor
    places: Tensor
    first: Tensor
    columns: Tensor

    def __init__(self, width: int, view: IntervalPlaces) -> None:
        super().__init__()
        self.kinds, self.pitches = view.tokens.shape
        self.scores = nn.Linear(width, self.kinds * view.scores)
        nn.init.normal_(self.scores.weight, std=0.02)
        nn.init.zeros_(self.scores.bias)
        numbers = {"tokens": view.tokens.ravel(), "columns": view.columns, "first": view.first, "places": view.places}
        for name, values in numbers.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values, np.int64)), persistent=False)

    def forward(self, logits: Tensor, x: Tensor, context: Tensor) -> Tensor:
        """Logits (B, T, V) with what states x (B, T, D) think of intervals in a context (B, T, C)."""
        batch, time, _ = x.shape
        places = self.places[context[:, :, self.columns] + self.first].flatten(2)  # (B, T, R P)
        scores = self.scores(x).view(batch, time, self.kinds, -1)
        scores = nn.functional.pad(scores, (0, 1))  # the last is 0
        found = scores.gather(3, places[:, :, None, :].expand(-1, -1, self.kinds, -1))
        found = found.view(batch, time, self.kinds, -1, self.pitches).sum(dim=3)  # (B, T, G, P)
        return logits.index_add(2, self.tokens, found.flatten(2).to(logits.dtype))

"""The job of a run, and its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.config import TrainConfig
from melody.training.lanes import PieceSource
from melody.training.log import Sample
from melody.training.objectives import Objective
from melody.training.warm_start import Base

# Composes with weights (by the model's own names), from time to time asking whether to stop; then it gives None.
Sampler = Callable[[Mapping[str, NDArray[np.float32]], Callable[[], bool]], Sample | None]


@dataclass(frozen=True)
class TrainResult:
    """Result of a session of a run."""

    stopped: str  # "max_passes", "max_minutes", "patience", "limits", "SIGINT" or "SIGTERM"
    exit_code: int  # 0, or 128 + the signal's number
    steps: int
    passes: int
    best_nats_per_note: float | None
    best_pass: int
    base_nats_per_note: float | None  # of the weights it started from; None: random ones
    seconds: float  # over all sessions of the run
    is_first: bool = True  # of several processes that train together

    @property
    def interrupted(self) -> bool:
        """True if it was told to stop."""
        return self.exit_code != 0

    @property
    def helped(self) -> bool:
        """True if some evaluation was better than that of the weights it started from."""
        before, after = self.base_nats_per_note, self.best_nats_per_note
        return before is not None and after is not None and after < before


@dataclass(frozen=True)
class Job:
    """The job of a run."""

    config: TrainConfig
    train_source: PieceSource
    valid_source: PieceSource
    vocabulary_size: int
    channel_sizes: list[int]
    views: Mapping[str, Any]  # of the tokens, for the model
    folder: Path
    base: Base | None
    objective: Objective
    sampler: Sampler | None

    @property
    def identity(self) -> dict[str, Any]:
        """Settings that cannot change on the way."""
        values = {
            "vocabulary_size": self.vocabulary_size,
            "channel_sizes": self.channel_sizes,
            "model": self.config.model.model_dump(mode="json"),
            "data": self.config.data.model_dump(mode="json"),
        }
        return values | dict(self.objective.identity) | ({"base": self.base.sha256} if self.base else {})

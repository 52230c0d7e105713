"""Pieces that count, a small configuration to learn them with, and what a run of it leaves."""

import csv
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melody.config import TrainConfig, check_config
from melody.training import train
from melody.training.checkpoint import load_newest

VOCABULARY, CHANNELS = 11, [4]


class Counting:
    """Pieces that count upwards from anywhere; fetching shifts the start by chance."""

    def __init__(self, lengths: list[int], augment: bool = True) -> None:
        self.lengths = np.array(lengths)
        self.notes = self.lengths // 3
        self.augment = augment
        self.fetched = 0

    def fetch(self, piece: int, generator: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        self.fetched += 1
        start = piece + (int(generator.integers(0, VOCABULARY)) if self.augment else 0)
        ids = (start + np.arange(self.lengths[piece])) % VOCABULARY
        return ids, (ids % CHANNELS[0])[:, None]


class Killing(Counting):
    """A source that sends its own process a signal when a piece is fetched for the n-th time."""

    def __init__(self, lengths: list[int], after: int, number: signal.Signals) -> None:
        super().__init__(lengths)
        self.after, self.number = after, number

    def fetch(self, piece: int, generator: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        if self.fetched == self.after:
            os.kill(os.getpid(), self.number)
        return super().fetch(piece, generator)


LENGTHS = [30, 9, 17, 22, 5, 12, 26, 14, 8, 19]
VALID = Counting([21, 13, 8], augment=False)


def configuration(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "name": "test",
        "corpus": "none",
        "model": {"hidden_size": 16, "layers": 2, "weight_dropout": 0.1, "attention": {"heads": 2, "memory": 5}},
        "data": {"batch_size": 4, "window": 8},
        "optimizer": {"learning_rate": 0.02, "warmup_steps": 5, "passes": 6},
        "ema_decay": 0.9,
        "max_passes": 3,
        "threads": 1,
        "tensorboard": False,
    }
    return check_config({**values, **changes})


def trained(
    folder: Path, source: Counting | None = None, views: Mapping[str, Any] | None = None, **changes: Any
) -> Any:
    config = configuration(**changes)
    return train(config, source or Counting(LENGTHS), VALID, VOCABULARY, CHANNELS, folder, views=views)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {k: v for k, v in row.items() if k not in ("tokens_per_second", "seconds")} for row in csv.DictReader(file)
        ]


def newest(folder: Path, name: str = "last") -> tuple[dict[str, Tensor], dict[str, Any]]:
    found = load_newest(folder, name)
    assert found is not None
    return found


def assert_same_run(one: Path, other: Path) -> None:
    tensors, again = newest(one)[0], newest(other)[0]
    assert tensors.keys() == again.keys()
    assert [name for name in tensors if not torch.equal(tensors[name], again[name])] == []
    for table in ("steps.csv", "evaluations.csv"):
        assert rows_of(one / table) == rows_of(other / table)

"""Training under a budget: as many passes as fit into the same processor seconds, by melody's own training loop.

What counts is the processor time of the steps (forward, backward, clipping, AdamW, averaged weights) on one thread. A
few steps are timed first, and the number of whole passes follows; the learning rate warms up and falls with a cosine
until the last of them, so that no model is cut off in the midst of its schedule. Evaluated are the averaged weights, in
fp32.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from melody.config import TrainConfig, check_config
from melody.models import build
from melody.training import Lanes, PieceSource, Window, evaluate, load_best, train
from melody.training.devices import make_fabric
from melody.training.lanes import Piece
from melody.training.state import RunState
from melody.training.step import take_step

WARM, TIMED = 2, 6  # steps
WARMUP = 0.03  # of the budget


@dataclass(frozen=True)
class Pieces:
    """Pieces at hand, each ids (T,) and context (T, C): a source that does not augment."""

    pieces: Sequence[Piece]
    notes: NDArray[Any]  # (P,)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece, shape (P,)."""
        return np.array([len(piece[0]) for piece in self.pieces])

    def fetch(self, piece: int, generator: np.random.Generator) -> Piece:
        """Return a piece as it is."""
        return self.pieces[piece]


@dataclass(frozen=True)
class Task:
    """Music in tokens, and a model that is to learn it."""

    values: Mapping[str, Any]  # of the configuration: model, data, optimizer, ema_decay
    vocabulary_size: int
    channel_sizes: Sequence[int]
    training: PieceSource
    valid: PieceSource
    views: Mapping[str, Any] = field(default_factory=dict)  # of the tokens

    def config(self, **more: Any) -> TrainConfig:
        """Return the configuration with changes: one thread, and no evaluation before the end."""
        own = {"name": "budget", "corpus": "none", "threads": 1, "tensorboard": False, "evaluation": {"every": 10**6}}
        return check_config(own | dict(self.values) | more)

    def model(self, config: TrainConfig) -> nn.Module:
        """Return a fresh model."""
        options = config.model.options()
        return build(config.model.name, self.vocabulary_size, self.channel_sizes, **self.views, **options)


class Bought(NamedTuple):
    """Result of a budget."""

    model: nn.Module  # of averaged weights
    weights: int
    passes: int
    tokens_per_second: float  # of a processor
    seconds: float  # of a processor, by the steps that were timed


def spend(task: Task, seconds: float, seed: int) -> Bought:
    """Train for as many whole passes as fit into the processor seconds, at least one."""
    data = {**task.values.get("data", {}), "seed": seed}
    step = seconds_of_a_step(task, task.config(data=data))
    lanes = Lanes(task.training, task.config(data=data).data.batch_size, task.config(data=data).data.window, seed)
    a_pass = step * lanes.windows_in_pass()
    passes = max(1, int(seconds / a_pass))
    warmup = max(1, int(WARMUP * passes * lanes.windows_in_pass()))
    optimizer = {**task.values.get("optimizer", {}), "warmup_steps": warmup}
    config = task.config(data=data, optimizer=optimizer, max_passes=passes)
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        run = Path(folder)
        arguments = (task.training, task.valid, task.vocabulary_size, task.channel_sizes, run)
        train(config, *arguments, views=task.views)
        averaged = load_best(run)[0]
    model = task.model(config)
    model.load_state_dict(averaged)
    weights = sum(weight.numel() for weight in model.parameters())
    tokens = int((np.asarray(task.training.lengths) - 1).sum())
    return Bought(model.eval(), weights, passes, tokens / a_pass, passes * a_pass)


def seconds_of_a_step(task: Task, config: TrainConfig) -> float:
    """Return the median processor seconds of a few steps of a model that is thrown away."""
    torch.manual_seed(0)
    fabric = make_fabric(config)
    state = RunState.fresh(task.model(config), config.optimizer, config.data.batch_size)
    network, optimizer = fabric.setup(state.model, state.optimizer)
    network.train()
    times = []
    for window in islice(_windows(task.training, config), WARM + TIMED):
        began = process_time()
        take_step(fabric, network, optimizer, state, window, config, 1000)
        times.append(process_time() - began)
    return median(times[WARM:])


def _windows(source: PieceSource, config: TrainConfig) -> Iterator[Window]:
    for pass_ in count():
        yield from Lanes(source, config.data.batch_size, config.data.window).windows(pass_)


def nats_per_note(bought: Bought, pieces: Pieces, task: Task) -> float:
    """Return what held-out pieces cost, in fp32."""
    data = task.config().data
    found = evaluate(bought.model, pieces, batch_size=data.batch_size, window=data.window)
    assert found is not None
    return found.nats_per_note

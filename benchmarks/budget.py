"""Training under a budget: the same processor seconds for every model, whatever else the machine has to do.

What counts is the processor time of the steps (forward, backward, clipping, AdamW, averaged weights); fetching music
and evaluating do not count. The learning rate rises over the first 3 % of the budget and falls with a cosine until its
end, so that no model is cut off in the middle of its schedule. Evaluated are the averaged weights, in fp32.

A learner is a model in the contract of `melody.models` and its way to read pieces:

- the LSTM reads windows of 128 tokens in 32 lanes, and its state goes through the whole piece;
- the Transformer reads whole pieces, those beyond its context in stretches that begin by chance anywhere. Held-out
  pieces beyond it are read in windows that move on by half of it, and only tokens that no window before has predicted
  count, so that each is predicted from half a context at least.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count, pairwise
from time import process_time
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformer import Transformer

from melody.config import OptimizerConfig
from melody.models import build
from melody.models import carry as carries
from melody.models.intervals import IntervalView
from melody.training.devices import bf16_works
from melody.training.lanes import Lanes, Piece, Window
from melody.training.objectives.cross_entropy import cross_entropy
from melody.training.schedule import learning_rate
from melody.training.state import RunState

LANES, WINDOW = 32, 128
TOKENS = LANES * WINDOW  # of a step, for either model
CONTEXT = 1024  # of the Transformer; most chorales and nearly all tunes are shorter
WARMUP = 0.03  # of the budget
PARTS = 10_000  # in which the schedule counts the budget


@dataclass(frozen=True)
class Pieces:
    """Pieces at hand, each ids (T,) and context (T, C): a source for lanes that has drawn already."""

    pieces: Sequence[Piece]
    notes: NDArray[Any]  # (P,)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece, shape (P,)."""
        return np.array([len(ids) for ids, _ in self.pieces])

    def fetch(self, piece: int, generator: np.random.Generator) -> Piece:
        """A piece as it is."""
        return self.pieces[piece]


@dataclass(frozen=True)
class Recipe:
    """What a model is trained with."""

    learning_rate: float
    dropout: float
    weight_dropout: float = 0.0  # of recurrent connections
    weight_decay: float = 0.02
    ema_decay: float = 0.99


class Learner(Protocol):
    """A model and its way to read."""

    model: nn.Module

    def windows(self, pieces: Pieces, seed: int, pass_: int) -> Iterator[Window]:
        """The windows of a pass of training."""

    def held_out(self, pieces: Pieces) -> Iterator[Window]:
        """Windows in which every token after the first of each piece is a target once."""


class LSTMLearner:
    """The residual LSTM, as it is trained in melody."""

    def __init__(
        self,
        vocabulary_size: int,
        channel_sizes: Sequence[int],
        shape: "Shape",
        recipe: Recipe,
        intervals: IntervalView | None = None,
    ) -> None:
        self.model = build(
            "residual_lstm",
            vocabulary_size,
            channel_sizes,
            intervals=intervals,
            hidden_size=shape.width,
            layers=shape.layers,
            dropout=recipe.dropout,
            weight_dropout=recipe.weight_dropout,
        )

    def windows(self, pieces: Pieces, seed: int, pass_: int) -> Iterator[Window]:
        return Lanes(pieces, LANES, WINDOW, seed).windows(pass_)

    def held_out(self, pieces: Pieces) -> Iterator[Window]:
        return self.windows(pieces, 0, 0)


class TransformerLearner:
    """A decoder with rotary positions and the LSTM's context channels."""

    def __init__(
        self,
        vocabulary_size: int,
        channel_sizes: Sequence[int],
        shape: "Shape",
        recipe: Recipe,
        context: int = CONTEXT,
    ) -> None:
        self.context = context
        self.model = Carryless(
            Transformer(
                vocabulary_size,
                shape.width,
                shape.layers,
                shape.heads,
                context,
                recipe.dropout,
                rotary=True,
                channel_sizes=channel_sizes,
            )
        )

    def windows(self, pieces: Pieces, seed: int, pass_: int) -> Iterator[Window]:
        generator = np.random.default_rng([seed, pass_])
        cuts = [cut for piece, ids in enumerate(pieces.lengths - 1) for cut in self._cuts(piece, int(ids), generator)]
        generator.shuffle(cuts)
        batches = _batches(cuts)
        for number in generator.permutation(len(batches)).tolist():
            yield _window(pieces, batches[number])

    def held_out(self, pieces: Pieces) -> Iterator[Window]:
        cuts = []
        for piece, ids in enumerate((pieces.lengths - 1).tolist()):
            starts = range(0, max(1, ids - self.context + self.context // 2), self.context // 2)
            stops = [min(start + self.context, ids) for start in starts]
            counted = [0, *stops[:-1]]
            cuts += [Cut(piece, *edges) for edges in zip(starts, stops, counted, strict=True)]
        return (_window(pieces, batch) for batch in _batches(cuts))

    def _cuts(self, piece: int, ids: int, generator: np.random.Generator) -> "list[Cut]":
        """A piece of so many tokens to read, whole or in stretches of at most the context."""
        first = ids if ids <= self.context else int(generator.integers(1, self.context + 1))
        edges = [0, *range(first, ids, self.context), ids]
        return [Cut(piece, start, stop, start) for start, stop in pairwise(edges)]


class Carryless(nn.Module):
    """A model without a carry, in the contract of models that have one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def start(self, batch_size: int, device: torch.device | None = None) -> dict[str, Tensor]:
        return {}

    def forward(self, tokens: Tensor, carry: dict[str, Tensor], context: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.inner(tokens, None, context), carry


class Shape(NamedTuple):
    """Of a model."""

    width: int
    layers: int
    heads: int = 1


class Cut(NamedTuple):
    """The tokens of a piece from `start` to `stop`; those from `counted` on have targets."""

    piece: int
    start: int
    stop: int
    counted: int


def _batches(cuts: Sequence[Cut]) -> list[list[Cut]]:
    """Cuts of like lengths side by side, each batch of at most `TOKENS` with its padding."""
    batches: list[list[Cut]] = []
    for cut in sorted(cuts, key=lambda one: one.start - one.stop):  # the longest first
        longest = batches[-1][0].stop - batches[-1][0].start if batches else 0
        if batches and longest * (len(batches[-1]) + 1) <= TOKENS:
            batches[-1].append(cut)
        else:
            batches.append([cut])
    return batches


def _window(pieces: Pieces, batch: Sequence[Cut]) -> Window:
    shape = (len(batch), max(cut.stop - cut.start for cut in batch))
    tokens, targets, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, bool)
    context = np.zeros((*shape, pieces.pieces[0][1].shape[1]), np.int64)
    for row, (piece, start, stop, counted) in enumerate(batch):
        ids, values = pieces.pieces[piece]
        here = (row, slice(0, stop - start))
        tokens[here], targets[here], context[here] = ids[start:stop], ids[start + 1 : stop + 1], values[start:stop]
        mask[row, counted - start : stop - start] = True
    arrays = (tokens, targets, context, mask, np.ones(len(batch), bool))
    return Window(*(torch.from_numpy(array) for array in arrays))


# ---- training and evaluating ----------------------------------------------------------------------------------------


class Trained(NamedTuple):
    """What a budget bought."""

    model: nn.Module  # of averaged weights
    tokens: int
    passes: float
    seconds: float  # of processor


def train(
    learner: Learner, draw: Callable[[int], Pieces], recipe: Recipe, seconds: float, seed: int, bf16: bool | None = None
) -> Trained:
    """Train until the processor seconds are spent; `draw` gives the pieces of a pass, as chance has them.

    `bf16` is autocast; None: where the processor has it.
    """
    torch.manual_seed(seed)
    autocast = bf16_works() if bf16 is None else bf16
    optimizer = OptimizerConfig(learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay)
    state = RunState.fresh(learner.model, optimizer, LANES)
    learner.model.train()
    used, tokens = 0.0, 0
    for pass_ in count():
        pieces = draw(pass_)
        whole, before = int((pieces.lengths - 1).sum()), tokens
        for window in learner.windows(pieces, seed, pass_):
            began = process_time()
            _step(state, window, recipe, used / seconds, autocast)
            used += process_time() - began
            tokens += int(window.mask.sum())
            if used >= seconds:
                return Trained(state.averaged, tokens, pass_ + (tokens - before) / whole, used)
    raise AssertionError("unreachable")


def _step(state: RunState, window: Window, recipe: Recipe, spent: float, autocast: bool) -> None:
    rate = learning_rate(
        int(spent * PARTS), peak=recipe.learning_rate, warmup_steps=int(WARMUP * PARTS), total_steps=PARTS
    )
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    carry = carries.reset(state.carry, state.initial, window.reset)
    with _cast(autocast):
        logits, carry = state.model(window.tokens, carry, window.context)
    nats, number = cross_entropy(logits, window.targets, window.mask)
    (nats / number).backward()
    nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.progress.step += 1
    state.average(recipe.ema_decay)
    state.carry = carries.detach(carry)


def _cast(wanted: bool) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16) if wanted else nullcontext()


@torch.no_grad()
def nats_of(learner: Learner, model: nn.Module, pieces: Pieces) -> float:
    """The nats of all tokens after the first of each piece."""
    initial = model.start(LANES)  # type: ignore[operator]
    carry, nats = initial, 0.0
    for window in learner.held_out(pieces):
        carry = carries.reset(carry, initial, window.reset)
        logits, carry = model(window.tokens, carry, window.context)
        nats += cross_entropy(logits, window.targets, window.mask)[0].item()
    return nats

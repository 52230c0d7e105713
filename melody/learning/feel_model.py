"""Trains the feel of a corpus that was played (`melody.music.feel`): a minute, on the hits of its train split.

The same network in torch. In each pass every player's habits are those of some of its bars, drawn anew, and it learns
from the others; of some players nothing is told, as when a piece begins from nothing. What a hit costs on valid stands
beside what it costs where hits are drawn from the mean and spread of all, which knows neither place nor player.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.played import PlayedPiece
from melody.learning.small_models import Weights, drawn, fit
from melody.music.feel import (
    BINS,
    HABITS,
    INPUTS,
    SHAPES,
    SIXTEENTHS,
    UNKNOWN,
    VOICES,
    Feel,
    Floats,
    Habits,
    Player,
    accents_of,
    bins_of,
    inputs_of,
)
from melody.music.score import GRID

if TYPE_CHECKING:
    import torch

PASSES, BATCH = 12, 512
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 3e-3, 0.01, 0.1
BAR = 4 * GRID  # ticks: what habits are drawn from is some such bars in a row
MOST_BARS = 32
UNKNOWN_SHARE = 0.5  # of players, whose habits are not told


class LearnedPiece(NamedTuple):
    """A piece made ready: inputs without habits, targets, and what habits are made of."""

    piece: PlayedPiece
    inputs: Floats  # (N, INPUTS)
    bins: NDArray[np.int64]  # (N,)
    doubles: NDArray[np.int64]  # (N,)
    bar: NDArray[np.int64]  # (N,)


def made_ready(piece: PlayedPiece) -> LearnedPiece:
    """Make a piece ready."""
    deviations = piece.deviations
    inputs = inputs_of(Player(piece.tempo_qpm), piece.hits, deviations.tolist())
    doubles = np.array([stroke.double for stroke in piece.strokes], np.int64)
    bar = np.array([hit.onset for hit in piece.hits], np.int64) // BAR
    return LearnedPiece(piece, inputs, bins_of(deviations), doubles, bar)


def learn_feel(train: Sequence[PlayedPiece], held_out: Sequence[PlayedPiece], seed: int = 0) -> Feel:
    """A feel trained on these pieces: of the weights after each pass those to which the held-out ones cost least."""
    import torch

    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    pieces, others = [made_ready(piece) for piece in train], [made_ready(piece) for piece in held_out or train[:8]]
    learned = {name: shape for name, shape in SHAPES.items() if name not in ("accent", "dynamics")}
    batches = max(1, sum(len(piece.bins) for piece in pieces) // BATCH)
    weights, valid = drawn(learned, _scale), _told(others, np.random.default_rng(seed))

    def losses(weights: Weights) -> Iterator["torch.Tensor"]:
        rows = _told(pieces, generator)
        for part in np.array_split(generator.permutation(len(rows[0])), batches):
            inputs, bins, doubles = (side[part] for side in rows)
            yield _nats(weights, inputs, bins, doubles, DROPOUT)

    found = fit(
        weights,
        losses,
        lambda weights: _nats(weights, *valid, 0.0),
        passes=PASSES,
        batches=batches,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    return Feel.of(found | _accents(train))


def _scale(name: str) -> float:
    if "bias" in name:
        return 0.0
    fan_in = SHAPES[name][-1]
    return float(np.sqrt(2 / fan_in)) * (1.0 if name.startswith("weight") else 0.3)


def _told(pieces: Sequence[LearnedPiece], generator: np.random.Generator) -> tuple[Any, Any, Any]:
    """Inputs, bins and classes of second strokes of the hits that are to be learned, habits told by others."""
    import torch

    parts = [_with_habits(piece, generator) for piece in pieces]
    rows = [(p.inputs[kept], p.bins[kept], p.doubles[kept]) for p, kept in zip(pieces, parts, strict=True)]
    inputs, bins, doubles = (torch.from_numpy(np.concatenate(column)) for column in zip(*rows, strict=True))
    return inputs, bins, doubles


def _with_habits(piece: LearnedPiece, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Tell the habits that some bars of a piece show, or none; return which hits lie outside these bars."""
    last = int(piece.bar.max()) + 1
    habits, inside = UNKNOWN, np.zeros(len(piece.bar), bool)
    if last > 1 and generator.random() >= UNKNOWN_SHARE:
        count = max(1, min(int(MOST_BARS ** generator.random()), last // 2))
        first = int(generator.integers(last - count + 1))
        inside = (piece.bar >= first) & (piece.bar < first + count)
        shown = [piece.piece.hits[index] for index in np.flatnonzero(inside).tolist()]
        habits = Habits.of(shown, piece.piece.deviations[inside])
    piece.inputs[:, INPUTS - HABITS :] = np.stack([habits.at(hit) for hit in piece.piece.hits])
    return ~inside


def _nats(weights: Weights, inputs: Any, bins: Any, doubles: Any, dropout: float) -> "torch.Tensor":
    """Return mean nats of a hit: its deviation and its second stroke."""
    from torch.nn import functional

    timing, double = _run(weights, inputs, dropout)
    return functional.cross_entropy(timing, bins) + functional.cross_entropy(double, doubles)


def _run(weights: Weights, x: "torch.Tensor", dropout: float) -> "tuple[torch.Tensor, torch.Tensor]":
    """Logits (N, BINS) and (N, DOUBLES) of inputs (N, INPUTS)."""
    from torch.nn import functional

    for layer in (1, 2):
        x = functional.relu(functional.linear(x, weights[f"weight_{layer}"], weights[f"bias_{layer}"]))
        x = functional.dropout(x, dropout)
    timing, double = (functional.linear(x, weights[name], weights[f"{name}_bias"]) for name in ("timing", "double"))
    return timing, double


def _accents(pieces: Sequence[PlayedPiece]) -> dict[str, Floats]:
    """The mean accents of each voice, over the pieces, weighed by their hits; and how far velocities spread."""
    accent, dynamics, hits = np.zeros((VOICES, SIXTEENTHS)), np.zeros(VOICES), np.zeros(VOICES)
    for piece in pieces:
        count = np.bincount([hit.part for hit in piece.hits], minlength=VOICES)
        for voice, (mean, spread) in accents_of(piece.hits).items():
            accent[voice] += count[voice] * mean
            dynamics[voice] += count[voice] * spread
        hits += count
    usual = np.maximum(hits, 1)
    return {"accent": (accent / usual[:, None]).astype(np.float32), "dynamics": (dynamics / usual).astype(np.float32)}


def nats_per_hit(feel: Feel, pieces: Sequence[PlayedPiece]) -> float:
    """Return the nats that deviations cost, each after those before it were played, the player's habits untold."""
    ready = [made_ready(piece) for piece in pieces]
    logits = np.concatenate([feel.logits(piece.inputs)[0] for piece in ready]).astype(np.float64)
    bins = np.concatenate([piece.bins for piece in ready])
    top = logits.max(1)
    cost = np.log(np.exp(logits - top[:, None]).sum(1)) + top - logits[np.arange(len(bins)), bins]
    return float(cost.mean())


def nats_of_all(train: Sequence[PlayedPiece], pieces: Sequence[PlayedPiece]) -> float:
    """Return what they cost one who knows how often each deviation is, and nothing else."""
    known, bins = (np.concatenate([bins_of(piece.deviations) for piece in side]) for side in (train, pieces))
    counts = 1 + np.bincount(known, minlength=BINS)
    return float(-np.log(counts[bins] / counts.sum()).mean())


def figures_of(feel: Feel, played: Mapping[str, Sequence[PlayedPiece]]) -> dict[str, float]:
    """Return what the hits of valid cost the feel, and one who knows no place and no player; for bundle.json."""
    return {
        "valid_nats_per_hit": nats_per_hit(feel, played["valid"]),
        "histogram": nats_of_all(played["train"], played["valid"]),
        "hits": float(sum(len(piece.hits) for piece in played["train"])),
    }

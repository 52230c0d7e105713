"""Trains the harmonist of a corpus (`melody.tokens.harmonist`): half a minute, on the harmony of its train split.

The same LSTM in torch. The length of a third of the pieces is hidden from it, and of a third where phrases end, so that
it also draws what has no end, and reads primers whose phrase is under way. What it costs on valid stands beside what
back-off n-grams of the same chords cost: these it has to beat.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.store import Split
from melody.evaluation.ngram import learn as learn_ngram
from melody.learning.small_models import Weights, drawn, fit, states
from melody.music.chords import OCTAVE
from melody.music.key import estimate_key, key_of_signature
from melody.music.score import Score
from melody.tokens import EventTokenizer
from melody.tokens.harmonist import (
    AGO,
    KINDS,
    LENGTHS,
    MOST_SINCE,
    NOT_YET,
    ROOTS,
    SHAPES,
    TABLES,
    UNKNOWN,
    Ground,
    Harmonist,
    relative,
    tones_in,
)
from melody.tokens.harmony import Rate, harmony_of, steps_of, tune_of
from melody.tokens.small_lstm import WIDTH

if TYPE_CHECKING:
    import torch

Ints = NDArray[np.int64]

LEAST_STEPS, PASSES = 500, 12  # whichever is more
BATCH = 32
MOST_STEPS = 128  # of a piece, while learning
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 4e-3, 0.02, 0.3
HIDDEN = 0.33  # of pieces: their length, and where their phrases end
NOTHING = -1  # to be learned
SMOOTHING = 1.0  # of the counts of tones


class Harmonised(NamedTuple):
    """The harmony of a piece over its tonic, and what its tune sounds under it."""

    codes: Ints  # (S, 3)
    last: NDArray[np.bool_]  # (S,)
    ground: Ground
    tones: NDArray[np.float32]  # (S, 12), over the tonic
    style: int = 0  # 1 + its place among the corpus's; 0: none


def harmonised(split: Split, rate: Rate) -> list[Harmonised]:
    """The harmony of the pieces of a split, over the key that each states, or that its notes suggest."""
    tokenizer, result = EventTokenizer(()), []
    for index in range(len(split)):
        score = tokenizer.decode(split.piece(index)[0])
        if any(not track.is_drum and len(track.notes) for track in score.tracks):
            result.append(_harmonised(score, rate)._replace(style=int(split.styles[index])))
    return result


def _harmonised(score: Score, rate: Rate) -> Harmonised:
    plan = harmony_of(score, rate)
    stated = score.key_signatures
    key = key_of_signature(stated[0].key, stated[0].tonality) if stated else estimate_key(score)
    ground = Ground.of(steps_of(score, rate), key, ends=True)
    last = np.zeros(len(ground), bool)
    last[np.searchsorted(plan.edges, [start for start, _ in plan.ends], side="right") - 1] = True
    tones = tones_in(tune_of(score), plan.edges)
    return Harmonised(relative(plan.steps, key.tonic), last, ground, np.roll(tones, -key.tonic, axis=1))


def learn_harmonist(
    pieces: Sequence[Harmonised], held_out: Sequence[Harmonised], style: int = 0, seed: int = 0
) -> Harmonist:
    """A harmonist trained on these: of the weights after each pass those to which the held-out ones cost least.

    Then it goes on with the pieces of a `style` alone, if there are such: whoever composes in it should not be taken
    for the mean of all.
    """
    import torch

    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    weights = drawn({name: shape for name, shape in SHAPES.items() if name != "tones"}, _scale)
    found = _fitted(weights, pieces, held_out, generator, LEAST_STEPS, LEARNING_RATE)
    if own := [piece for piece in pieces if style and piece.style == style]:
        weights = {name: torch.nn.Parameter(torch.from_numpy(weight.copy())) for name, weight in found.items()}
        found = _fitted(weights, own, held_out, generator, LEAST_STEPS // 3, LEARNING_RATE / 4)
    return Harmonist.of(found | {"tones": tones_of(pieces)})


def _fitted(
    weights: Weights,
    pieces: Sequence[Harmonised],
    held_out: Sequence[Harmonised],
    generator: np.random.Generator,
    least_steps: int,
    learning_rate: float,
) -> dict[str, NDArray[np.float32]]:
    batches = -(-len(pieces) // BATCH)

    def losses(weights: Weights) -> Iterator["torch.Tensor"]:
        for chosen in np.array_split(generator.permutation(len(pieces)), batches):
            rows, targets = _batch([pieces[i] for i in chosen.tolist()], generator, HIDDEN)
            yield _nats(weights, rows, targets, DROPOUT).sum() / max(1, int((targets[..., 0] >= 0).sum()))

    return fit(
        weights,
        losses,
        lambda weights: _nats(weights, *_batch(held_out or pieces[:BATCH], generator, 0.0), 0.0).sum(),
        passes=max(PASSES, -(-least_steps // batches)),
        batches=batches,
        learning_rate=learning_rate,
        weight_decay=WEIGHT_DECAY,
    )


def tones_of(pieces: Sequence[Harmonised]) -> NDArray[np.float32]:
    """Return how often a tune's note stands so far above the root, by the chord's kind (KINDS, 12)."""
    counts = np.full((KINDS, OCTAVE), SMOOTHING)
    for piece in pieces:
        for (root, kind, _), tones in zip(piece.codes.tolist(), piece.tones, strict=True):
            counts[kind] += np.roll(tones, -(root - 1)) if root else tones
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float32)


def nats_per_step(harmonist: Harmonist, pieces: Sequence[Harmonised]) -> dict[str, float]:
    """Return what a step costs: its chord, its bass, and the ends of phrases."""
    import torch

    weights: Weights = {name: torch.from_numpy(np.array(value)) for name, value in harmonist.weights.items()}
    with torch.no_grad():
        parts = _nats(weights, *_batch(pieces, np.random.default_rng(0), 0.0, MOST_STEPS * 8), 0.0)
    steps = max(1, sum(len(piece.codes) for piece in pieces))
    chord, bass, length = (float(part) / steps for part in parts)
    return {"chord": chord, "bass": bass, "phrases": length}


def ngram_nats_per_step(train: Sequence[Harmonised], pieces: Sequence[Harmonised]) -> float:
    """Return what a chord costs back-off n-grams of chords, by the best of their lengths."""

    def codes(piece: Harmonised) -> Ints:
        return np.asarray(piece.codes[:, 0] * KINDS + piece.codes[:, 1])

    nats = learn_ngram([codes(one) for one in train], ROOTS * KINDS).nats([codes(one) for one in pieces])
    return float(nats.min()) / max(1, sum(len(piece.codes) for piece in pieces))


def _scale(name: str) -> float:
    if "bias" in name:
        return 0.0
    return float(np.sqrt(1 / (len(TABLES) if name in TABLES else WIDTH)))


def _nats(weights: Weights, rows: "torch.Tensor", targets: "torch.Tensor", dropout: float) -> "torch.Tensor":
    """Return the nats of chords, basses and lengths of phrases (3,), of all steps together."""
    import torch
    from torch.nn import functional

    y = _run(weights, rows, dropout)
    root, kind, over, length = targets.unbind(-1)
    own = y + weights["of_root"][root.clamp(min=0)]
    both = own + weights["of_kind"][(kind + 1).clamp(min=0)]
    before = functional.pad(y, (0, 0, 1, 0))[:, :-1]  # a length is drawn behind the step before

    def cost(name: str, state: "torch.Tensor", target: "torch.Tensor") -> "torch.Tensor":
        here = target >= 0
        logits = functional.linear(state[here], weights[name], weights[f"{name}_bias"])
        return functional.cross_entropy(logits, target[here], reduction="sum")

    chord = cost("to_root", y, root) + cost("to_kind", own, kind)
    return torch.stack([chord, cost("to_bass", both, over), cost("to_length", before, length)])


def _run(weights: Weights, rows: "torch.Tensor", dropout: float) -> "torch.Tensor":
    """y (B, T, D) of rows (B, T, TABLES)."""
    import torch
    from torch.nn import functional

    x = torch.stack([weights[name][rows[..., place]] for place, name in enumerate(TABLES)]).sum(0)
    return functional.dropout(states(weights, functional.dropout(x, dropout)) + x, dropout)


def _batch(
    pieces: Sequence[Harmonised], generator: np.random.Generator, hidden: float, most: int = MOST_STEPS
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Rows (B, T, TABLES) and targets (B, T, 4): root, quality, bass over the root, phrase's length; -1 for none."""
    import torch

    longest = min(most, max(len(piece.codes) for piece in pieces))
    rows = np.zeros((len(pieces), longest, len(TABLES)), np.int64)
    targets = np.full((len(pieces), longest, 4), NOTHING, np.int64)
    for number, piece in enumerate(pieces):
        start = int(generator.integers(len(piece.codes) - longest + 1)) if len(piece.codes) > longest else 0
        of_rows, of_targets = _rows_of(piece, *(generator.random(2) < hidden))
        count = min(longest, len(of_rows) - start)
        rows[number, :count] = of_rows[start : start + count]
        targets[number, :count] = of_targets[start : start + count]
    return torch.from_numpy(rows), torch.from_numpy(targets)


def _rows_of(piece: Harmonised, open_: bool, unphrased: bool) -> tuple[Ints, Ints]:
    """The rows (S, TABLES) and targets (S, 4) of a piece."""
    codes, ground = piece.codes, piece.ground
    padded = np.concatenate([codes, [[NOT_YET, 0, 0]]])  # the last row is the one before the piece
    past = [padded[ground.ago[:, column]] for column in range(len(AGO))]
    before = np.concatenate([padded[-1:], codes[:-1]])
    place, places, left, minor = ground.rows.T
    until, since = _phrase_rows(piece.last)
    fresh = (since == 0) & (until < LENGTHS)
    length = np.where(fresh & ~unphrased, until, NOTHING)
    columns = [*before.T, *(one[:, 0] for one in past), *(one[:, 1] for one in past), place, places]
    columns += [np.full_like(until, UNKNOWN) if unphrased else np.minimum(until, UNKNOWN)]
    columns += [np.minimum(since, MOST_SINCE), np.zeros_like(left) if open_ else left, minor]
    over = np.where(codes[:, 0] > 0, (codes[:, 2] - codes[:, 0]) % OCTAVE, NOTHING)
    kind = np.where(codes[:, 0] > 0, codes[:, 1] - 1, NOTHING)
    return np.stack(columns, axis=1), np.stack([codes[:, 0], kind, over, length], axis=1)


def _phrase_rows(last: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return how many steps it is until the phrase's last note, and since the phrase began (S,)."""
    steps = np.arange(len(last))
    ends = np.append(np.flatnonzero(last), 10**6)
    until = ends[np.searchsorted(ends, steps)] - steps
    starts = np.concatenate([[0], np.flatnonzero(last) + 1])
    since = steps - starts[np.searchsorted(starts, steps, side="right") - 1]
    return until, since

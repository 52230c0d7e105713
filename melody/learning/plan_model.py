"""Trains the planner of a corpus (`melody.tokens.planner`): a minute or two, on the plans of its train split.

The same LSTM in torch, its length hidden from it for a third of the pieces, so that it also draws pieces without end.
What it costs on valid stands beside what back-off n-grams of the same symbols cost: these it has to beat.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.store import Split
from melody.evaluation.ngram import learn as learn_ngram
from melody.learning.small_models import Weights, drawn, fit, states
from melody.tokens.plan import EMPTY, LAGS, UNTOLD, FormPlan, Symbol, meter_of
from melody.tokens.plan_finding import plan_of_piece
from melody.tokens.plan_limits import STATES
from melody.tokens.planner import (
    CASTS,
    MOST_CASTS,
    MOST_TRACKS,
    OF_TRACKS,
    SHAPES,
    SYMBOLS,
    TABLES,
    Outline,
    Planner,
    cast_of,
    code_of,
    is_drawn,
    state_of,
)
from melody.tokens.small_lstm import WIDTH

if TYPE_CHECKING:
    import torch

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]

LEAST_STEPS, PASSES = 350, 10  # whichever is more
BATCH = 32
MOST_BARS = 128  # of a piece, while learning
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 3e-3, 0.01, 0.2
OPEN_SHARE = 0.33  # of pieces, whose length is not told
LEAST_PIECES = 1000  # from which a corpus teaches what the length of a piece says of its plan; of fewer it is not told
OF_LENGTH = ("left", "in_all")
NOT_PLANNED = ("fill",)  # styles
NO_STATE = -1  # of a bar that is not drawn


class Planned(NamedTuple):
    """The plan of a piece, or of each of its tracks, and what is known of it beforehand."""

    plan: FormPlan
    outline: Outline


class Batch(NamedTuple):
    """Lines of symbols, one a piece or one a track of it; N lines of up to T bars."""

    rows: NDArray[np.int64]  # (N, T, TABLES)
    states: NDArray[np.int64]  # (N, T): that are drawn; -1: none is
    likes: NDArray[np.int64]  # (N, T)
    lags: NDArray[np.int64]  # (N, T)
    fits: NDArray[np.bool_]  # (N, T, STATES): that may follow
    tracks: NDArray[np.int64] | None = None  # (N,)
    before: Floats | None = None  # (N, T, SYMBOLS): shares of what the tracks before have in this bar
    behind: Floats | None = None  # (N, T, SYMBOLS): of what those behind have in the bar before


def planned(split: Split, styles: Sequence[str] = (), apart: bool = False) -> list[Planned]:
    """The plans of the pieces of a split that have more than two bars; fills alone have no plan worth learning."""
    result = []
    for index in range(len(split)):
        style = int(split.styles[index])
        if style and styles[style - 1] in NOT_PLANNED:
            continue
        ids = split.piece(index)[0].tolist()
        plan = plan_of_piece(ids, apart=apart).plan
        if plan.bars > 2:
            result.append(Planned(plan, Outline(plan.pickup, plan.bars, meter_of(ids, plan.pickup))))
    return result


def learn_planner(pieces: Sequence[Planned], held_out: Sequence[Planned], seed: int = 0) -> Planner:
    """A planner trained on these plans: of the weights after each pass those to which the held-out ones cost least."""
    import torch

    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    apart = bool(pieces[0].plan.tracks)
    shapes = SHAPES | (OF_TRACKS if apart else {})
    hidden = OPEN_SHARE if len(pieces) >= LEAST_PIECES else 1.0
    batches = -(-len(pieces) // BATCH)

    def losses(weights: Weights) -> Iterator["torch.Tensor"]:
        for chosen in np.array_split(generator.permutation(len(pieces)), batches):
            batch = _batch([pieces[i] for i in chosen.tolist()], generator, hidden)
            yield _nats(weights, batch, DROPOUT) / max(1, int((batch.states >= 0).sum()))

    def cost(weights: Weights) -> "torch.Tensor":
        batch = _batch(held_out or pieces[:BATCH], generator, 0.0 if hidden < 1 else 1.0)
        return _nats(weights, batch, 0.0)

    found = fit(
        drawn(shapes, _scale),
        losses,
        cost,
        passes=max(PASSES, -(-LEAST_STEPS * BATCH // len(pieces))),
        batches=batches,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    if len(pieces) < LEAST_PIECES:
        for name in OF_LENGTH:
            found[name] = np.repeat(found[name][:1], len(found[name]), axis=0)
    found["pickup"] = np.array([np.mean([piece.outline.pickup for piece in pieces])])
    if apart:
        found[CASTS] = _casts(pieces)
    return Planner.of(found)


def _casts(pieces: Sequence[Planned]) -> Floats:
    """The tracks of each piece, (P, MOST_TRACKS), of so many pieces as a planner keeps."""
    casts = np.zeros((min(len(pieces), MOST_CASTS), MOST_TRACKS), np.float32)
    for row, piece in zip(casts, pieces, strict=False):
        row[[track for track in cast_of(piece.plan) if track < MOST_TRACKS]] = 1
    return casts


def _nats(weights: Weights, batch: Batch, dropout: float) -> "torch.Tensor":
    """Return the nats of the drawn symbols together."""
    import torch
    from torch.nn import functional

    states, likes, lags, fits = (torch.from_numpy(part) for part in batch[1:5])
    y = _run(weights, batch, dropout)
    here = states >= 0
    logits = _of(weights, "state", y[here]).masked_fill(~fits[here], float("-inf"))
    loss = functional.cross_entropy(logits, states[here], reduction="sum")
    told = likes >= 0
    own = _of(weights, "like", y[told] + weights["lag"][lags[told]])
    return loss + functional.cross_entropy(own, likes[told], reduction="sum")


def _scale(name: str) -> float:
    if "bias" in name:
        return 0.0
    return float(np.sqrt(1 / (len(TABLES) if name in TABLES else WIDTH)))


def _of(weights: Weights, name: str, y: "torch.Tensor") -> "torch.Tensor":
    from torch.nn import functional

    return functional.linear(y, weights[name], weights[f"{name}_bias"])


def _run(weights: Weights, batch: Batch, dropout: float) -> "torch.Tensor":
    """Return y (N, T, D) of a batch."""
    import torch
    from torch.nn import functional

    rows = torch.from_numpy(batch.rows)
    x = torch.stack([weights[name][rows[..., place]] for place, name in enumerate(TABLES)]).sum(0)
    if batch.tracks is not None and batch.before is not None and batch.behind is not None:
        x = x + weights["track"][torch.from_numpy(batch.tracks)][:, None]
        x = x + torch.from_numpy(batch.before) @ weights["before"] + torch.from_numpy(batch.behind) @ weights["behind"]
    return functional.dropout(states(weights, functional.dropout(x, dropout)), dropout) + x


def _batch(pieces: Sequence[Planned], generator: np.random.Generator, hidden: float) -> Batch:
    """The lines of some pieces. The length of a share of them is `hidden`."""
    open_ = generator.random(len(pieces)) < hidden
    lines: list[_Line] = []
    for (plan, outline), is_open in zip(pieces, open_.tolist(), strict=True):
        lines += _lines(plan, replace(outline, bars=None) if is_open else outline)
    longest = max(len(line.codes) for line in lines)
    rows = np.zeros((len(lines), longest, len(TABLES)), np.int64)
    states, likes, lags = np.full((3, len(lines), longest), NO_STATE, np.int64)
    fits = np.ones((len(lines), longest, STATES), bool)
    for number, line in enumerate(lines):
        for bar, symbol in enumerate(line.symbols):
            rows[number, bar] = line.outline.rows(line.symbols[bar - 1] if bar else UNTOLD, bar)
            if line.track >= 0 or is_drawn(symbol, bar, line.outline):
                states[number, bar] = state_of(symbol)
                if symbol.lag:
                    likes[number, bar], lags[number, bar] = symbol.like - 1, LAGS.index(symbol.lag)
        fits[number, : len(line.codes)] = line.fits()
    if lines[0].track < 0:
        return Batch(rows, states, likes, lags, fits)
    before, behind = np.zeros((2, len(lines), longest, SYMBOLS), np.float32)
    for number, line in enumerate(lines):
        _add_shares(before[number], [other for other in line.beside if other.track < line.track], 0)
        _add_shares(behind[number], [other for other in line.beside if other.track > line.track], 1)
    tracks = np.array([min(line.track, MOST_TRACKS - 1) for line in lines])
    return Batch(rows, states, likes, lags, fits, tracks, before, behind)


@dataclass
class _Line:
    """The symbols of a piece (track -1) or of one of its tracks, and the lines of the other tracks beside it."""

    symbols: Sequence[Symbol]
    outline: Outline
    track: int = -1
    beside: Sequence["_Line"] = ()

    @property
    def codes(self) -> Rows:
        return np.array([code_of(symbol) for symbol in self.symbols])

    def fits(self) -> NDArray[np.bool_]:
        """The states (T, STATES) that may follow, as a planner has them."""
        bars = np.arange(len(self.symbols))[:, None]
        result = np.ones((len(bars), STATES), bool)
        result[:, 2:] = bars >= np.array(LAGS)
        if self.track >= 0:
            silent = np.array([symbol == EMPTY for symbol in self.symbols])
            result[:, 2:] &= ~silent[np.maximum(bars - np.array(LAGS), 0)]
            result[: 1 + self.outline.pickup, 2:] = False
        return result


def _lines(plan: FormPlan, outline: Outline) -> list[_Line]:
    if not plan.tracks:
        return [_Line(plan.symbols[:MOST_BARS], outline)]
    lines = [_Line(plan.tracks[track][:MOST_BARS], outline, track) for track in cast_of(plan)]
    for line in lines:
        line.beside = lines
    return lines


def _add_shares(table: Floats, lines: Sequence[_Line], later: int) -> None:
    """Add what lines have to a table (T, SYMBOLS), so many bars later, as shares."""
    for line in lines:
        codes = line.codes[: len(table) - later]
        table[np.arange(len(codes)) + later, codes] += 1 / len(lines)


def nats_per_bar(planner: Planner, pieces: Sequence[Planned]) -> float:
    """Return the nats that the plans of pieces cost a planner, over all their bars."""
    nats = sum(sum(planner.nats(plan, outline)) for plan, outline in pieces)
    return nats / max(1, sum(piece.plan.bars for piece in pieces))


def ngram_nats_per_bar(train: Sequence[Planned], pieces: Sequence[Planned]) -> float:
    """Return their nats under the best back-off n-grams over the same symbols, of each track apart."""
    size = SYMBOLS + (MOST_TRACKS if train[0].plan.tracks else 0)
    model = learn_ngram([codes for one in train for codes in _codes(one.plan)], size)
    nats = model.nats([codes for one in pieces for codes in _codes(one.plan)])
    return float(nats.min()) / max(1, sum(piece.plan.bars for piece in pieces))


def _codes(plan: FormPlan) -> list[Rows]:
    """The symbols of each line as numbers; those of a track begin with its own."""
    lines = {track: [code_of(symbol) for symbol in plan.lines[track]] for track in cast_of(plan)}
    return [np.array([SYMBOLS + track, *codes] if plan.tracks else codes) for track, codes in lines.items()]

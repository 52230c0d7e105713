"""Trains the planner of a corpus (`melody.tokens.planner`): half a minute, on the plans of its train split.

The same LSTM in torch, its length hidden from it for a third of the pieces, so that it also draws pieces without end.
What it costs on valid stands beside what back-off n-grams of the same symbols cost: these it has to beat.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.store import Split
from melody.evaluation.ngram import learn as learn_ngram
from melody.tokens.plan import LAGS, Symbol, meter_of
from melody.tokens.plan_finding import plan_of_piece
from melody.tokens.planner import SHAPES, TABLES, WIDTH, Outline, Planner, code_of, is_drawn, state_of

if TYPE_CHECKING:
    import torch

Weights = dict[str, Any]  # of tensors
Rows = NDArray[np.int64]

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
    """The plan of a piece, and what is known of it beforehand."""

    symbols: tuple[Symbol, ...]
    outline: Outline


def planned(split: Split, styles: Sequence[str] = ()) -> list[Planned]:
    """The plans of the pieces of a split that have more than two bars; fills alone have no plan worth learning."""
    result = []
    for index in range(len(split)):
        style = int(split.styles[index])
        if style and styles[style - 1] in NOT_PLANNED:
            continue
        ids = split.piece(index)[0].tolist()
        plan = plan_of_piece(ids).plan
        if len(plan.symbols) > 2:
            meter = meter_of(ids, plan.pickup)
            result.append(Planned(plan.symbols, Outline(plan.pickup, len(plan.symbols), meter)))
    return result


def learn_planner(pieces: Sequence[Planned], held_out: Sequence[Planned], seed: int = 0) -> Planner:
    """A planner trained on these plans: of the weights after each pass those to which the held-out ones cost least."""
    import torch

    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    weights: Weights = {name: torch.nn.Parameter(torch.randn(shape) * _scale(name)) for name, shape in SHAPES.items()}
    hidden = OPEN_SHARE if len(pieces) >= LEAST_PIECES else 1.0
    passes = max(PASSES, -(-LEAST_STEPS * BATCH // len(pieces)))
    batches = -(-len(pieces) // BATCH)
    optimizer = torch.optim.AdamW(weights.values(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=passes * batches)
    least, best = float("inf"), weights
    for _ in range(passes):
        for chosen in np.array_split(generator.permutation(len(pieces)), batches):
            rows, *drawn = _batch([pieces[i] for i in chosen.tolist()], generator, hidden)
            loss = _nats(weights, rows, drawn, DROPOUT) / max(1, int((drawn[0] >= 0).sum()))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            rows, *drawn = _batch(held_out or pieces[:BATCH], generator, 0.0 if hidden < 1 else 1.0)
            nats = float(_nats(weights, rows, drawn, 0.0))
        if nats < least:
            least, best = nats, {name: weight.detach().clone() for name, weight in weights.items()}
    found = {name: weight.detach().numpy() for name, weight in best.items()}
    if len(pieces) < LEAST_PIECES:
        for name in OF_LENGTH:
            found[name] = np.repeat(found[name][:1], len(found[name]), axis=0)
    found["pickup"] = np.array([np.mean([piece.outline.pickup for piece in pieces])])
    return Planner.of(found)


def _nats(weights: Weights, rows: Rows, drawn: Sequence[Rows], dropout: float) -> "torch.Tensor":
    """Return the nats of the drawn symbols together."""
    import torch
    from torch.nn import functional

    states, likes, lags = (torch.from_numpy(part) for part in drawn)
    y = _run(weights, torch.from_numpy(rows), dropout)
    here = states >= 0
    bar = torch.arange(states.shape[1]).expand_as(states)[here]
    impossible = functional.pad(torch.tensor(LAGS) > bar[:, None], (2, 0))  # lags reach before the piece
    logits = _of(weights, "state", y[here]).masked_fill(impossible, float("-inf"))
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


def _run(weights: Weights, rows: "torch.Tensor", dropout: float) -> "torch.Tensor":
    """y (B, T, D) of rows (B, T, TABLES)."""
    import torch
    from torch.nn import functional

    x = torch.stack([weights[name][rows[..., place]] for place, name in enumerate(TABLES)]).sum(0)
    zeros = x.new_zeros(1, len(x), WIDTH)
    parts = [weights["weight_ih"], weights["weight_hh"], weights["bias"], torch.zeros(4 * WIDTH)]
    h = torch.lstm(functional.dropout(x, dropout), (zeros, zeros), parts, True, 1, 0.0, True, False, True)[0]
    return functional.dropout(h, dropout) + x


def _batch(pieces: Sequence[Planned], generator: np.random.Generator, hidden: float) -> tuple[Rows, Rows, Rows, Rows]:
    """Rows (B, T, TABLES), states, likenesses and places of lags (B, T); -1 where nothing is drawn.

    The length of a share of the pieces is `hidden`.
    """
    open_ = generator.random(len(pieces)) < hidden
    pieces = [
        Planned(symbols[:MOST_BARS], replace(outline, bars=None) if is_open else outline)
        for (symbols, outline), is_open in zip(pieces, open_.tolist(), strict=True)
    ]
    longest = max(len(symbols) for symbols, _ in pieces)
    rows = np.zeros((len(pieces), longest, len(TABLES)), np.int64)
    states, likes, lags = np.full((3, len(pieces), longest), NO_STATE, np.int64)
    for piece, (symbols, outline) in enumerate(pieces):
        for bar, symbol in enumerate(symbols):
            rows[piece, bar] = outline.rows(symbols[bar - 1] if bar else Symbol(0, 0), bar)
            if is_drawn(symbol, bar, outline):
                states[piece, bar] = state_of(symbol)
                if symbol.lag:
                    likes[piece, bar], lags[piece, bar] = symbol.like - 1, LAGS.index(symbol.lag)
    return rows, states, likes, lags


def nats_per_bar(planner: Planner, pieces: Sequence[Planned]) -> float:
    """Return the nats that the plans of pieces cost a planner, over all their bars."""
    nats = sum(sum(planner.nats(symbols, outline)) for symbols, outline in pieces)
    return nats / max(1, sum(len(symbols) for symbols, _ in pieces))


def ngram_nats_per_bar(train: Sequence[Planned], pieces: Sequence[Planned]) -> float:
    """Return their nats under the best back-off n-grams over the same symbols."""
    size = 4 + 4 * len(LAGS)
    model = learn_ngram([_codes(one) for one in train], size)
    nats = model.nats([_codes(one) for one in pieces])
    return float(nats.min()) / max(1, sum(len(symbols) for symbols, _ in pieces))


def _codes(piece: Planned) -> NDArray[np.int64]:
    return np.array([code_of(symbol) for symbol in piece.symbols])

"""Feel in numbers: how held-out players move off the grid, beside the model, and beside noise.

Each held-out piece is played again by the feel of the bundle: from the grid alone, as a piece from nothing is, or after
its first four bars as its player played them. Hits are gathered in cells: the sixteenths of the bar over all drums, or
each drum at each sixteenth. A cell has a mean and a spread (standard deviation) in milliseconds. `mean` is the
distance of the two means as a share of the player's spread, `spread` that of the spreads as a share of the player's;
both are weighed by hits, over cells of `LEAST` hits or more. `within` is the share of hits in cells in which both are
at most 15 percent.

The controls: a hit on the grid (none), normal noise of the mean and spread of all train hits, which knows no place
(noise), and another player: what train players do in the cell (others), the measure of how far people differ.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.corpus import TokenStore
from melody.corpus.played import PlayedPiece, read_played
from melody.music.feel import SIXTEENTHS, Feel, Habits, Player, sixteenth_of
from melody.music.score import GRID

LEAST = 100  # hits of a cell
CLOSE = 0.15
GIVEN = 16 * GRID  # ticks: four bars of four quarters

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeelFigures:
    """Timing of players beside that of the model, in milliseconds."""

    hits: int
    sixteenths: list[dict[str, Any]]  # place, hits, mean and spread of player and model
    rows: list[dict[str, Any]]  # of each side: mean and spread of all, how they err, how hits hang together
    doubles: dict[str, float]  # share of hits with a second stroke too close for the grid

    @property
    def in_short(self) -> dict[str, float]:
        """Errors of mean and spread by sixteenth, as shares of the player's spread, for the card."""
        model = next(row for row in self.rows if row["side"] == "model")
        return {"test_mean": float(model["mean"]), "test_spread": float(model["spread"])}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Side:
    """Deviations of hits in milliseconds, each with its piece, its sixteenth and its drum."""

    piece: NDArray[np.int64]
    sixteenth: NDArray[np.int64]
    voice: NDArray[np.int64]
    ms: Floats

    def cells(self, by_drum: bool) -> NDArray[np.int64]:
        return self.sixteenth + SIXTEENTHS * self.voice * by_drum

    def with_ms(self, ms: Floats) -> "_Side":
        return _Side(self.piece, self.sixteenth, self.voice, ms)


def feel_figures(feel: Feel, store: TokenStore, split: str) -> FeelFigures | None:
    """Play the pieces of a split again, take 1 of seed 0; None for a store of music that was written."""
    train, pieces = (list(read_played(store, name).values()) for name in ("train", split))
    if not train or not pieces:
        return None
    known, player = _side(train), _side(pieces)
    generator = np.random.default_rng(0)
    noise = generator.normal(known.ms.mean(), known.ms.std(), len(player.ms))
    model, doubles = _again(feel, pieces, 0)
    after, _ = _again(feel, pieces, GIVEN)
    told = _side(pieces, GIVEN)
    sides = {
        "model": (player, player.with_ms(model)),
        "model, after 4 bars": (told, told.with_ms(after)),
        "none": (player, player.with_ms(np.zeros(len(player.ms)))),
        "noise": (player, player.with_ms(noise)),
        "others": (player, known),
    }
    rows = [{"side": "player", **_usual(player)}]
    rows += [{"side": name, **_usual(ours), **_errors(theirs, ours)} for name, (theirs, ours) in sides.items()]
    strokes = [stroke for piece in pieces for stroke in piece.strokes]
    shares = {"player": float(np.mean([stroke.double > 0 for stroke in strokes])), "model": float(np.mean(doubles))}
    return FeelFigures(len(player.ms), _sixteenths(player, player.with_ms(model)), rows, shares)


def _side(pieces: Sequence[PlayedPiece], start: int = 0) -> _Side:
    """The hits of pieces as their players played them, from a tick on."""
    rows = [
        (number, sixteenth_of(hit.place), hit.voice, stroke.deviation * _tick_ms(piece))
        for number, piece in enumerate(pieces)
        for hit, stroke in zip(piece.hits, piece.strokes, strict=True)
        if hit.onset >= start
    ]
    piece, sixteenth, voice, ms = zip(*rows, strict=True)
    return _Side(np.array(piece), np.array(sixteenth), np.array(voice), np.array(ms, np.float64))


def _tick_ms(piece: PlayedPiece) -> float:
    return 60_000 / (GRID * piece.tempo_qpm)


def _again(feel: Feel, pieces: Sequence[PlayedPiece], start: int) -> tuple[Floats, list[bool]]:
    """Deviations in milliseconds from a tick on, before which players show their habits; and who strikes twice."""
    ms, doubles = [], []
    for number, piece in enumerate(pieces):
        first = sum(hit.onset < start for hit in piece.hits)
        given = piece.hits[:first], piece.deviations[:first]
        player = Player(piece.tempo_qpm, Habits.of(*given))
        strokes = feel.played(player, piece.hits[first:], np.random.default_rng(number))
        ms += [stroke.deviation * _tick_ms(piece) for stroke in strokes]
        doubles += [stroke.double > 0 for stroke in strokes]
    return np.array(ms), doubles


def _usual(side: _Side) -> dict[str, float]:
    """Mean and spread, the correlation of hits that follow each other, and the spread of the means of pieces."""
    same = np.diff(side.piece) == 0
    before, after = side.ms[:-1][same], side.ms[1:][same]
    is_still = not side.ms.any()
    counts = np.bincount(side.piece)
    means = (np.bincount(side.piece, side.ms) / np.maximum(counts, 1))[counts >= LEAST // 2]
    return {
        "mean ms": float(side.ms.mean()),
        "spread ms": float(side.ms.std()),
        "correlation": 0.0 if is_still else float(np.corrcoef(before, after)[0, 1]),
        "between players": float(means.std()),
    }


def _errors(theirs: _Side, ours: _Side) -> dict[str, float]:
    """Distances of means and spreads of cells from the player's, by sixteenth and by drum and sixteenth."""
    found: dict[str, float] = {}
    for name, by_drum in (("", False), (", by drum", True)):
        cells, own = theirs.cells(by_drum), ours.cells(by_drum)
        rows = []
        for cell, count in enumerate(np.bincount(cells).tolist()):
            here, there = ours.ms[own == cell], theirs.ms[cells == cell]
            if count >= LEAST and len(here):
                spread = float(there.std())
                rows.append(
                    (count, abs(float(here.mean() - there.mean())) / spread, abs(float(here.std()) / spread - 1))
                )
        weight, mean, spreads = np.array(rows).T
        within = (mean <= CLOSE) & (spreads <= CLOSE)
        columns = {"mean": mean, "spread": spreads, "within": within.astype(np.float64)}
        found |= {f"{key}{name}": float(np.average(column, weights=weight)) for key, column in columns.items()}
    return found


def _sixteenths(player: _Side, model: _Side) -> list[dict[str, Any]]:
    return [
        {
            "sixteenth": place + 1,
            "hits": int((player.sixteenth == place).sum()),
            **{
                f"{name} {figure}": float(take(side.ms[side.sixteenth == place]))
                for figure, take in (("mean", np.mean), ("spread", np.std))
                for name, side in (("player", player), ("model", model))
            },
        }
        for place in range(SIXTEENTHS)
        if (player.sixteenth == place).any()
    ]

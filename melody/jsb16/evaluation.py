"""JSB-16, the published benchmark: Bach's chorales on a grid of sixteenths, in nats per voice-step.

The file is that of `melody.jsb16.corpus`. The unit: -ln p(the pitch or rest of one voice at one sixteenth), summed over
a split, over 4 x its steps; papers call it nats per note. Through tokens it is the nats of all tokens of a piece, its
length and its end included, over 4 x its steps: tokens and grid say the same (a repeated pitch is one held note).
Nothing is told of the future: a length token is paid for, and the plan of an event model is hidden. A mask of what may
follow, computed from past tokens alone, is free; without it a model also pays for what no piece can say.

A model of voices is told what the pieces of train did under the same tune (`melody.jsb16.tune_book`); they are part
of it, as its weights are. It has learned to tell the voices of a step in several orders (`melody.jsb16.tokenizer`):
it reads the piece in each, and the probability of a step, from its first new pitch to its wait, is the mean of what
they think of it (Uria, Murray & Larochelle 2014, arXiv:1310.1757). What one order alone costs stands beside it.

A model that is too sure of itself for music it does not know costs more than it must: so its figures are given at a
temperature too by which all its logits are divided, one number, chosen on valid (Guo et al. 2017, arXiv:1706.04599).

The published split leaks: valid 74 and most of valid 58 stand in train, and so do a third of the bars of test 8 and 69.
So there is a clean figure without them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from melody.engine import Engine
from melody.engine.nats import nats_read_by
from melody.errors import UsageError
from melody.jsb16.corpus import SOURCE, read_jsb16
from melody.jsb16.tokenizer import ORDERS, Grid, Ids, VoicesTokenizer, score_of
from melody.jsb16.tune_book import TuneBook, TuneReader
from melody.tokens import EventTokenizer
from melody.tokens.contract import Tokenizer, TokenReader

LEAKS = {"valid": (58, 74), "test": (8, 69)}  # held-out pieces that share bars with train 142, 224 and 55, 124
BATCH = 16
TEMPERATURES = tuple(np.arange(20, 41) / 20)  # 1 to 2


class Published(NamedTuple):
    """A figure to compare with, in nats per voice-step."""

    model: str
    valid: float | None
    test: float | None
    meaning: str


PUBLISHED = (
    Published("count model with back-off", 0.568, 0.588, "measured by us"),
    Published("TonicNet, re-implemented", 0.441, 0.450, "GRU of 220,000 weights, chords and voices paid for; by us"),
    Published("Coconet, chronological", 0.436, None, "convolutions in the order of time; arXiv:1903.07227"),
    Published("Transformer", 0.417, None, "one token a voice and step; arXiv:1809.04281"),
    Published(
        "TonicNet", 0.396, None, "GRU 3x256, chords and voices paid for; arXiv:1911.11775. Its 0.220 is told chords"
    ),
    Published("Music Transformer", 0.335, None, "relative attention; arXiv:1809.04281. The best that is published"),
)


@dataclass(frozen=True)
class VoiceSteps:
    """Cost of the pieces of a split."""

    split: str
    nats: list[float]  # of each piece, within what may follow
    voice_steps: list[int]  # of each piece
    leaks: tuple[int, ...] = field(default=())
    raw_nats: list[float] = field(default_factory=list)  # of each piece, without the mask
    temperature: float = 1.0
    orders: int = 1  # of the voices, of which each step has the mean

    @property
    def nats_per_voice_step(self) -> float:
        """The published unit."""
        return sum(self.nats) / sum(self.voice_steps)

    @property
    def clean(self) -> float:
        """The same without the pieces that share bars with train."""
        return self._without_leaks(self.nats)

    @property
    def raw(self) -> float:
        """Same as `nats_per_voice_step`, without the mask."""
        return sum(self.raw_nats) / sum(self.voice_steps)

    @property
    def raw_clean(self) -> float:
        """Same as `clean`, without the mask."""
        return self._without_leaks(self.raw_nats)

    def _without_leaks(self, nats: Sequence[float]) -> float:
        kept = [place for place in range(len(nats)) if place not in self.leaks]
        return sum(nats[place] for place in kept) / sum(self.voice_steps[place] for place in kept)

    def to_row(self) -> dict[str, str | int | float]:
        """For a table, and for JSON."""
        return {
            "split": self.split,
            "orders": self.orders,
            "temperature": self.temperature,
            "pieces": len(self.nats),
            "voice_steps": sum(self.voice_steps),
            "canonical": self.nats_per_voice_step,
            "clean": self.clean,
            "canonical_unmasked": self.raw,
            "clean_unmasked": self.raw_clean,
        }


class Spelling(Protocol):
    """Spelling of the benchmark's grids in a tokenizer's tokens."""

    @property
    def orders(self) -> int:
        """Number of orders of the voices in which a piece can be said."""

    def spell(self, grid: Grid, order: int = 0) -> Ids:
        """The ids (T,) of a grid, from BOS to EOS, in one of the orders."""

    def reader(self, order: int = 0) -> TokenReader:
        """A fresh reader of such ids, told nothing of the piece."""

    def mean(self, pieces: Sequence[Ids], nats: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The nats (K,) of a piece whose steps have the mean of their probabilities in each of its spellings.

        `nats` are those of the tokens after BOS of each, (K, T - 1).
        """


@dataclass(frozen=True)
class EventSpelling:
    """Spelling as events, in one order."""

    tokenizer: EventTokenizer
    book: TuneBook | None = None  # says nothing to events
    orders: int = 1

    def spell(self, grid: Grid, order: int = 0) -> Ids:
        """See `Spelling`."""
        return self.tokenizer.encode(score_of(grid))

    def reader(self, order: int = 0) -> TokenReader:
        """See `Spelling`."""
        return self.tokenizer.reader()

    def mean(self, pieces: Sequence[Ids], nats: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """See `Spelling`."""
        return np.asarray(nats[0].sum(axis=1))


@dataclass(frozen=True)
class VoiceSpelling:
    """Spelling as voices on the grid, in each of `ORDERS`; told of the tunes in a book."""

    tokenizer: VoicesTokenizer
    book: TuneBook | None = None
    orders: int = len(ORDERS)

    def spell(self, grid: Grid, order: int = 0) -> Ids:
        """See `Spelling`."""
        return self.tokenizer.spell(grid, order)

    def reader(self, order: int = 0) -> TokenReader:
        """See `Spelling`."""
        return self.tokenizer.reader(TuneReader(self.book) if self.book else None, order)

    def mean(self, pieces: Sequence[Ids], nats: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """See `Spelling`."""
        steps = []
        for ids, tokens in zip(pieces, nats, strict=True):
            firsts = np.flatnonzero(np.diff(self.tokenizer.steps_of(ids)[1:], prepend=-1))
            steps.append(np.add.reduceat(tokens, firsts, axis=1))
        mean = np.log(len(steps)) - np.logaddexp.reduce(-np.stack(steps), axis=0)  # (K, steps)
        return np.asarray(mean.sum(axis=1))


SPELLINGS: dict[str, Callable[..., Spelling]] = {
    EventTokenizer.name: EventSpelling,
    VoicesTokenizer.name: VoiceSpelling,
}


def benchmark_jsb16(engine: Engine, tokenizer: Tokenizer, data: Path | None) -> list[VoiceSteps]:
    """Cost of valid and test under a model of these tokens; then at the temperature best for valid.

    For a model of voices by the first order of the voices alone, then by the mean over all.

    Raises `UsageError` without a file, and `MelodyError` for one that is another.
    """
    if data is None:
        raise UsageError(f"the benchmark jsb16 needs its file: give it as `data`; get it from {SOURCE}")
    grids = read_jsb16(data)
    spelling = SPELLINGS[tokenizer.name](tokenizer, VoicesTokenizer().tune_book(grids["train"]))
    counts = sorted({1, spelling.orders})
    found = {split: _costs(engine, spelling, grids[split], split, TEMPERATURES, counts) for split in LEAKS}
    result = []
    for orders in counts:
        splits = [found[split][orders] for split in LEAKS]
        best = min(range(len(TEMPERATURES)), key=lambda place: splits[0][place].nats_per_voice_step)
        result += [split[place] for place in (0, best) for split in splits]
    return result


def evaluate_jsb16(
    engine: Engine,
    spelling: Spelling,
    grids: Sequence[Grid],
    split: str,
    temperatures: Sequence[float] = (1.0,),
    orders: int = 1,
) -> list[VoiceSteps]:
    """Cost of the pieces of a split, at each temperature; of the orders of the voices the first so many are asked."""
    return _costs(engine, spelling, grids, split, temperatures, [orders])[orders]


def _costs(
    engine: Engine,
    spelling: Spelling,
    grids: Sequence[Grid],
    split: str,
    temperatures: Sequence[float],
    counts: Sequence[int],
) -> dict[int, list[VoiceSteps]]:
    """Cost as `evaluate_jsb16` tells it, for several numbers of orders; each order is read once."""
    nats, raw = np.zeros((2, len(counts), len(temperatures), len(grids)))
    most = max(counts)
    by_length = sorted(range(len(grids)), key=lambda place: len(grids[place]))  # like lengths side by side
    for start in range(0, len(by_length), BATCH):
        places = by_length[start : start + BATCH]
        pieces = [spelling.spell(grids[place], order) for place in places for order in range(most)]
        readers = [spelling.reader(order) for _ in places for order in range(most)]
        found = nats_read_by(pieces, readers, engine, temperatures)
        for row, place in enumerate(places):
            for number, orders in enumerate(counts):
                told = slice(row * most, row * most + orders)
                within, without = zip(*found[told], strict=True)
                nats[number, :, place] = spelling.mean(pieces[told], within)
                raw[number, :, place] = spelling.mean(pieces[told], without)
    steps, leaks = [grid.size for grid in grids], LEAKS.get(split, ())
    return {
        orders: [
            VoiceSteps(split, here[place].tolist(), steps, leaks, bare[place].tolist(), float(temperature), orders)
            for place, temperature in enumerate(temperatures)
        ]
        for orders, here, bare in zip(counts, nats, raw, strict=True)
    }

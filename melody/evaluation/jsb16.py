"""JSB-16, the published benchmark: Bach's chorales on a grid of sixteenths, in nats per voice-step.

The file is that of `melody.corpus.jsb16`. The unit: -ln p(the pitch or rest of one voice at one sixteenth), summed over
a split, over 4 x its steps; papers call it nats per note. Through tokens it is the nats of all tokens of a piece, its
length and its end included, over 4 x its steps: tokens and grid say the same (a repeated pitch is one held note).
Nothing is told of the future: a length token is paid for, and the plan of an event model is hidden. A mask of what may
follow, computed from past tokens alone, is free; without it a model also pays for what no piece can say.

A model of voices is told what the pieces of train did under the same tune (`melody.tokens.tunes`); they are part of it,
as its weights are. One that is too sure of itself for music it does not know costs more than it must: so its figures
are given at a temperature too by which all its logits are divided, one number, chosen on valid (Guo et al. 2017,
arXiv:1706.04599).

The published split leaks: valid 74 and most of valid 58 stand in train, and so do a third of the bars of test 8 and 69.
So there is a clean figure without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus.jsb16 import SOURCE, read_jsb16
from melody.engine import Engine
from melody.errors import UsageError
from melody.evaluation.likelihood import TokenReader, nats_read_by
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.tunes import TuneBook, TuneReader
from melody.tokens.voices import Grid, VoicesTokenizer, Walk, score_of

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
    """What the pieces of a split cost."""

    split: str
    nats: list[float]  # of each piece, within what may follow
    voice_steps: list[int]  # of each piece
    leaks: tuple[int, ...] = field(default=())
    raw_nats: list[float] = field(default_factory=list)  # of each piece, without the mask
    temperature: float = 1.0

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
        """As `nats_per_voice_step`, without the mask."""
        return sum(self.raw_nats) / sum(self.voice_steps)

    @property
    def raw_clean(self) -> float:
        """As `clean`, without the mask."""
        return self._without_leaks(self.raw_nats)

    def _without_leaks(self, nats: Sequence[float]) -> float:
        kept = [place for place in range(len(nats)) if place not in self.leaks]
        return sum(nats[place] for place in kept) / sum(self.voice_steps[place] for place in kept)

    def to_row(self) -> dict[str, str | int | float]:
        """For a table, and for JSON."""
        return {
            "split": self.split,
            "temperature": self.temperature,
            "pieces": len(self.nats),
            "voice_steps": sum(self.voice_steps),
            "canonical": self.nats_per_voice_step,
            "clean": self.clean,
            "canonical_unmasked": self.raw,
            "clean_unmasked": self.raw_clean,
        }


def benchmark_jsb16(engine: Engine, tokenizer: EventTokenizer | VoicesTokenizer, data: Path | None) -> list[VoiceSteps]:
    """What valid and test of the benchmark's file cost a model of these tokens; then at the temperature best for valid.

    Raises `UsageError` without a file, and `MelodyError` for one that is another.
    """
    if data is None:
        raise UsageError(f"the benchmark jsb16 needs its file: --data PATH; get it from {SOURCE}")
    grids = read_jsb16(data)
    book = tokenizer.tune_book(grids["train"]) if isinstance(tokenizer, VoicesTokenizer) else None
    splits = [evaluate_jsb16(engine, tokenizer, grids[split], split, book, TEMPERATURES) for split in LEAKS]
    best = min(range(len(TEMPERATURES)), key=lambda place: splits[0][place].nats_per_voice_step)
    return [split[place] for place in (0, best) for split in splits]


def evaluate_jsb16(
    engine: Engine,
    tokenizer: EventTokenizer | VoicesTokenizer,
    grids: Sequence[Grid],
    split: str,
    book: TuneBook | None = None,
    temperatures: Sequence[float] = (1.0,),
) -> list[VoiceSteps]:
    """What the pieces of a split cost a model of these tokens, at each temperature; `book` is what it is told of."""
    nats, raw = np.zeros((2, len(temperatures), len(grids)))
    order = sorted(range(len(grids)), key=lambda place: len(grids[place]))  # like lengths side by side
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        pieces = [spell(tokenizer, grids[place]) for place in places]
        found = nats_read_by(pieces, [reader_for(tokenizer, book) for _ in pieces], engine, temperatures)
        nats[:, places] = np.stack([within.sum(axis=1) for within, _ in found], axis=1)
        raw[:, places] = np.stack([without.sum(axis=1) for _, without in found], axis=1)
    steps, leaks = [grid.size for grid in grids], LEAKS.get(split, ())
    return [
        VoiceSteps(split, nats[place].tolist(), steps, leaks, raw[place].tolist(), float(temperature))
        for place, temperature in enumerate(temperatures)
    ]


def spell(tokenizer: EventTokenizer | VoicesTokenizer, grid: Grid) -> NDArray[np.int32]:
    """The ids (T,) of a grid, from BOS to EOS."""
    return tokenizer.spell(grid) if isinstance(tokenizer, VoicesTokenizer) else tokenizer.encode(score_of(grid))


def reader_for(tokenizer: EventTokenizer | VoicesTokenizer, book: TuneBook | None = None) -> TokenReader:
    """A fresh reader of such ids, which is told nothing of the piece."""
    if isinstance(tokenizer, VoicesTokenizer):
        return Walk(TuneReader(book) if book else None)
    return Reader(tokenizer.vocabulary, Plan())

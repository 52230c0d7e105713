"""JSB-16, the published benchmark: Bach's chorales on a grid of sixteenths, in nats per voice-step.

The file is ``Jsb16thSeparated.npz`` of github.com/czhuang/JSB-Chorales-dataset: 382 chorales, four voices, 229 for
training, 76 for validation, 77 for the test. The unit: -ln p(the pitch or rest of one voice at one sixteenth), summed
over a split, over 4 x its steps; papers call it nats per note. Through tokens it is the nats of all tokens of a piece,
its length and its end included, over 4 x its steps: tokens and grid say the same (a repeated pitch is one held note).
Nothing is told of the future: a length token is paid for, and the plan of an event model is hidden.

The published split leaks: two test pieces share most of their bars with train, so there is a clean figure without them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melody.engine import Engine
from melody.errors import UnreadableFile
from melody.evaluation.likelihood import TokenReader, nats_read_by
from melody.files import read_bytes
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.voices import Grid, VoicesTokenizer, Walk, score_of

SHA256 = "2adcdf0d57880c3763f104555072285fe7f9e3d6049fcc4b9830557b8d4a7820"
BYTES = 102_808
SOURCE = "https://github.com/czhuang/JSB-Chorales-dataset (Jsb16thSeparated.npz)"
LEAKS = {"valid": (58, 74), "test": (8, 69)}  # held-out pieces that share bars with train 142, 224 and 55, 124
BATCH = 16


@dataclass(frozen=True)
class VoiceSteps:
    """What the pieces of a split cost."""

    split: str
    nats: list[float]  # of each piece
    voice_steps: list[int]  # of each piece
    leaks: tuple[int, ...] = field(default=())

    @property
    def nats_per_voice_step(self) -> float:
        """The published unit."""
        return sum(self.nats) / sum(self.voice_steps)

    @property
    def clean(self) -> float:
        """The same without the pieces that share bars with train."""
        kept = [place for place in range(len(self.nats)) if place not in self.leaks]
        return sum(self.nats[place] for place in kept) / sum(self.voice_steps[place] for place in kept)


def read_jsb16(path: Path) -> dict[str, list[Grid]]:
    """The grids (steps, 4) of each split. Raises `MelodyError` where `path` is not that file."""
    data = read_bytes(path, 10 * BYTES)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UnreadableFile(f"{path}: is not the benchmark's file; get it from {SOURCE}")
    with np.load(BytesIO(data), allow_pickle=True, encoding="latin1") as arrays:  # pickled, known to the last bit
        return {split: [_grid(piece) for piece in arrays[split]] for split in ("train", "valid", "test")}


def _grid(piece: NDArray[np.floating]) -> Grid:
    return np.nan_to_num(piece.astype(np.float64)).astype(np.int64)


def evaluate_jsb16(
    engine: Engine, tokenizer: EventTokenizer | VoicesTokenizer, grids: Sequence[Grid], split: str
) -> VoiceSteps:
    """What the pieces of a split cost a model of these tokens."""
    nats = np.zeros(len(grids))
    order = sorted(range(len(grids)), key=lambda place: len(grids[place]))  # like lengths side by side
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        pieces = [_spell(tokenizer, grids[place]) for place in places]
        found = nats_read_by(pieces, [_reader(tokenizer) for _ in pieces], engine)
        nats[places] = [within.sum() for within, _ in found]
    return VoiceSteps(split, nats.tolist(), [grid.size for grid in grids], LEAKS.get(split, ()))


def _spell(tokenizer: EventTokenizer | VoicesTokenizer, grid: Grid) -> NDArray[np.int32]:
    return tokenizer.spell(grid) if isinstance(tokenizer, VoicesTokenizer) else tokenizer.encode(score_of(grid))


def _reader(tokenizer: EventTokenizer | VoicesTokenizer) -> TokenReader:
    return Walk() if isinstance(tokenizer, VoicesTokenizer) else Reader(tokenizer.vocabulary, Plan())

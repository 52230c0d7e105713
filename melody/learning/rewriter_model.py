"""Trains the rewriter of a corpus of single voices or of drums (`melody.tokens.rewriter`): twenty minutes on one core.

Each sample is a window of a piece, transposed as its ranges allow, of which some cells are hidden:

    two in five   any cells, each with the same chance, which is drawn too (absorbing diffusion, orderless NADE)
    two in five   bars of some voices, in which a drawn share is known already, as in the middle of rewriting; of a kit
                  mostly of all its drums
    one in five   all that comes after a place, as a model from left to right has it

The loss is the mean over hidden cells of each sample, so that samples with few of them count as much. Where the piece
ends is hidden from half of the windows that show it, as a primer's end is no end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.bundle import open_bundle
from melody.bundle.bundle import REWRITER
from melody.corpus import open_store
from melody.corpus.store import TokenStore
from melody.errors import MelodyError
from melody.learning.added import add_to_bundle
from melody.learning.tokenizers import tokenizer_of
from melody.tokens.cells import LINES, Cells, Grid, GridKind, Ground, cut, sizes
from melody.tokens.hits import HITS
from melody.tokens.rewriter import Rewriter

if TYPE_CHECKING:
    from melody.models.masked_transformer import MaskedTransformer

WINDOW = 128  # cells
BATCH = 32
WIDTH, LAYERS, HEADS = 192, 4, 6
OF_HITS = {"width": 96, "layers": 2, "batch": 16}
WHOLE_KIT = 0.8  # of the stretches of drums that are hidden
STEPS = 3000
LEARNING_RATE, WARMUP, WEIGHT_DECAY, DROPOUT, DECAY = 2.5e-3, 100, 0.05, 0.15, 0.998
KINDS = (0.4, 0.4, 0.2)  # shares of samples: any cells, bars, what comes after
NEAR = 4  # cells after the place that are learned from
SHOWN_END = 0.5
HELD_OUT = 8  # batches
BAR = 16  # cells, of the stretches that are hidden

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class GridPiece:
    """A piece, by how many semitones it may be transposed (least and greatest), and what its cells are."""

    grid: Grid
    shifts: tuple[int, int]
    kind: GridKind = LINES


class HiddenCells(NamedTuple):
    """Windows: what the model sees, what stands there, and which cells it learns."""

    seen: NDArray[np.int64]  # (B, T, voices)
    ground: NDArray[np.int64]  # (B, T, GROUND)
    target: NDArray[np.int64]  # (B, T, voices)
    learned: Bools  # (B, T, voices)


def pieces_of(store: TokenStore, split: str, kind: GridKind = LINES) -> list[GridPiece]:
    """The grids of a split's pieces."""
    tokenizer, found = tokenizer_of(store), store.split(split)
    result = []
    for index in range(len(found)):
        grid = kind.grid_of(tokenizer.decode(found.piece(index)[0]), int(found.styles[index]))
        least, greatest = found.shifts[index].tolist()
        result.append(GridPiece(grid, (least, greatest), kind))
    return result


class LearnedRewriter(NamedTuple):
    """Result of teaching: nats of a hidden cell of held-out pieces, the step of the weights kept, and their file."""

    nats: float
    step: int
    file: Path


def learn_rewriter(model: str | Path, steps: int = STEPS, seed: int = 0) -> LearnedRewriter:
    """Teach a bundle of single voices, or of drums alone, to rewrite, and write the result into it.

    Raises `MelodyError` for others.
    """
    bundle = open_bundle(model)
    drums = [track.drums for track in bundle.tracks] == [True]
    if not drums and any(track.polyphony != 1 for track in bundle.tracks):
        raise MelodyError(f"{bundle.name}: single voices or drums alone can be rewritten at once; it writes chords")
    store = open_store(bundle.settings.get("corpus", ""))  # fetches where it has to
    kind, options = (HITS, OF_HITS) if drums else (LINES, {})
    best: tuple[float, int, Rewriter] | None = None
    for step, nats, network in trained(
        pieces_of(store, "train", kind), pieces_of(store, "valid", kind), len(store.styles), steps, seed, **options
    ):
        if best is None or nats < best[0]:
            best = nats, step, rewriter_of(network)
    assert best is not None
    nats, step, rewriter = best
    told = {"rewriter": {"valid_nats_per_hidden_cell": nats, "steps": step, "seed": seed}}
    return LearnedRewriter(nats, step, add_to_bundle(bundle.folder, REWRITER, rewriter.arrays(), told))


def trained(
    train: Sequence[GridPiece],
    held_out: Sequence[GridPiece],
    styles: int = 0,
    steps: int = STEPS,
    seed: int = 0,
    *,
    width: int = WIDTH,
    layers: int = LAYERS,
    batch: int = BATCH,
    in_order: int = 0,
) -> Iterator[tuple[int, float, "MaskedTransformer"]]:
    """Train, and yield (step, nats of a hidden cell of held-out pieces, the mean of the weights so far) ten times.

    With `in_order`, all but one of so many steps learn whole windows from left to right.
    """
    import torch
    from torch.nn import functional

    from melody.models.masked_transformer import MaskedTransformer
    from melody.training.devices import bf16_pays

    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    kind, voices = train[0].kind, train[0].grid.cells.shape[1]
    ground_sizes, sees_bars = tuple(sizes(styles).values()), kind is HITS
    model = MaskedTransformer(
        voices, kind.values, ground_sizes, width, layers, HEADS, dropout=DROPOUT, sees_bars=sees_bars
    )
    average: Any = torch.optim.swa_utils
    decay = min(DECAY, 1 - 5 / max(steps, 10))  # the mean reaches back a fifth of a short run
    mean = average.AveragedModel(model, multi_avg_fn=average.get_ema_multi_avg_fn(decay))
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, (0.9, 0.98), weight_decay=WEIGHT_DECAY)

    def rate(step: int) -> float:
        return min((step + 1) / WARMUP, 0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * step / steps))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    valid = [sample_of(held_out, np.random.default_rng((seed, number)), batch) for number in range(HELD_OUT)]
    for step in range(1, steps + 1):
        model.train()
        forwards = bool(in_order and step % in_order)
        sample = (in_order_of if forwards else sample_of)(train, generator, batch)
        seen, ground, target, learned = map(torch.from_numpy, sample)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays()):
            logits = (model.in_order(target, seen != kind.hidden, ground) if forwards else model(seen, ground))[learned]
        nats = functional.cross_entropy(logits.float(), target[learned], reduction="none")
        share = (1 / learned.sum(dim=(1, 2)).clamp(min=1))[:, None, None].expand_as(learned)[learned]
        loss = (nats * share).sum() / len(seen)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(model)
        if step % max(1, steps // 10) == 0 or step == steps:
            best: Any = mean.module
            yield step, _nats(best, valid), best


def rewriter_of(model: "MaskedTransformer") -> Rewriter:
    """The rewriter with the weights of a model."""
    return Rewriter.of({name: weight.detach().float().numpy() for name, weight in model.state_dict().items()})


def _nats(model: "MaskedTransformer", samples: Sequence[HiddenCells]) -> float:
    """The nats of a hidden cell."""
    import torch
    from torch.nn import functional

    total, count = 0.0, 0
    model.eval()
    with torch.no_grad():
        for sample in samples:
            seen, ground, target, learned = map(torch.from_numpy, sample)
            logits = model(seen, ground)[learned]
            total += float(functional.cross_entropy(logits, target[learned], reduction="sum"))
            count += int(learned.sum())
    return total / max(1, count)


# ---- what is hidden -------------------------------------------------------------------------------------------------


def sample_of(pieces: Sequence[GridPiece], generator: np.random.Generator, count: int) -> HiddenCells:
    """Draw windows of pieces, the longer ones more often, and what is hidden of each."""
    rows = []
    for piece in _drawn(pieces, generator, count):
        start, target, ground = _window(piece, generator)
        inside = target != piece.kind.outside
        hidden, learned = _hide(inside, generator, WHOLE_KIT if piece.kind is HITS else 0)
        if generator.random() > SHOWN_END:
            hidden = hidden | (np.arange(start, start + WINDOW) >= len(piece.grid.cells))[:, None]
        seen = np.where(hidden, piece.kind.hidden, target)
        rows.append((seen, ground, np.where(inside, target, 0), learned & inside))
    return HiddenCells(*map(np.stack, zip(*rows, strict=True)))


def in_order_of(pieces: Sequence[GridPiece], generator: np.random.Generator, count: int) -> HiddenCells:
    """Draw windows, and how many voices of each sixteenth are told when the others are asked from left to right.

    What stands outside a piece is so in the target too, as each sixteenth is read by those behind it.
    """
    rows = []
    for piece in _drawn(pieces, generator, count):
        _, target, ground = _window(piece, generator)
        hidden = hidden_in_order(target.shape, generator)
        kind = piece.kind
        rows.append((np.where(hidden, kind.hidden, target), ground, target, hidden & (target != kind.outside)))
    return HiddenCells(*map(np.stack, zip(*rows, strict=True)))


def hidden_in_order(shape: tuple[int, ...], generator: np.random.Generator) -> Bools:
    """Voices (T, voices) that are not told of each sixteenth: one at least, in an order that is drawn."""
    count, voices = shape
    place = np.argsort(generator.random((count, voices)), axis=1)
    return np.asarray(place >= generator.integers(voices, size=(count, 1)))


def _drawn(pieces: Sequence[GridPiece], generator: np.random.Generator, count: int) -> list[GridPiece]:
    length = np.array([len(piece.grid.cells) for piece in pieces], float)
    return [pieces[index] for index in generator.choice(len(pieces), count, p=length / length.sum()).tolist()]


def _window(piece: GridPiece, generator: np.random.Generator) -> tuple[int, Cells, Ground]:
    """Return where a window of a transposed piece starts, its cells and its ground."""
    least, greatest = piece.shifts
    cells = piece.kind.transposed(piece.grid.cells, int(generator.integers(least, greatest + 1)))
    side = WINDOW // 4  # beyond its ends
    start = int(generator.integers(-side, max(len(cells) - WINDOW + side, -side) + 1))
    return (start, *cut(cells, piece.grid.ground, start, WINDOW, piece.kind.outside))


def _hide(inside: Bools, generator: np.random.Generator, whole: float) -> tuple[Bools, Bools]:
    """Draw which cells (T, voices) of a window are hidden, and which of these are learned.

    Bars are hidden in all voices in `whole` of cases, else in some.
    """
    count, voices = inside.shape
    kind = generator.random()
    if kind < KINDS[0]:
        hidden = generator.random(inside.shape) < generator.random()
        return hidden, hidden
    if kind < KINDS[0] + KINDS[1]:
        bars = int(generator.integers(1, count // BAR + 1))
        start = int(generator.integers(count - bars * BAR + 1))
        hidden = np.zeros(inside.shape, bool)
        chosen = generator.permutation(voices)[: int(generator.integers(1, voices + 1))]
        hidden[start : start + bars * BAR, slice(None) if whole and generator.random() < whole else chosen] = True
        known = max(0.0, float(generator.uniform(-0.3, 1)))
        hidden &= generator.random(inside.shape) >= known
        return hidden, hidden
    place = int(generator.integers(count))
    hidden = np.arange(count)[:, None] >= np.full(voices, place)
    hidden[place, generator.permutation(voices)[: int(generator.integers(voices))]] = False
    return hidden, hidden & (np.arange(count) < place + NEAR)[:, None]

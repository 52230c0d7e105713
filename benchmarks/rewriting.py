"""Rewriting: gaps in held-out pieces filled note after note and in rounds, and what the rewriter itself knows.

Gaps: bars 4 to 7 of pieces of the valid split (of grooves 5 to 8), in all voices or in some, one take each. Nats are
those of the model that goes from left to right: of the new bars, and of the two bars behind them, which it reads on;
the critic tells the new bars from those that stood there (.5: it cannot). What the composers wrote stands beside. Of
drums the likeness of kick and snare from bar to bar takes the place of parallels and cadences.

    python benchmarks/rewriting.py gaps [--model chorale] [--pieces 24] [--rounds 1,4,16,64] [--tracks Alto,Tenor]

Chronological nats: each cell from those before it alone, sixteenth by sixteenth and voice by voice in an order that is
drawn, as Coconet is measured (Huang et al. 2017, arXiv:1903.07227); on the grids of JSB-16 in nats a voice and step. A
rewriter of its train split is taught first: from left to right in three steps of four, any hidden cells in the others.

    python benchmarks/rewriting.py nats [--steps 3000] [--width 192] [--layers 4] [--batch 32] [--split valid]

Both sides: what held-out bars cost each model that knows what stands around them, in nats a note: the lower voices,
their soprano given, and all voices of bars 4 to 7. The LSTM is told and reads from left to right (of the lower voices
pitches and durations are counted); the rewriter's cells become known in an order that chance draws, and all are
counted: the mean over orders, from some of their steps, as an orderless NADE is measured (arXiv:1310.1757).

    python benchmarks/rewriting.py sides [--model chorale] [--pieces 24]

Speed: processor seconds of 8 bars, of a voice and of all, by either way.

    python benchmarks/rewriting.py speed [--pieces 6]
"""

import argparse
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from steering import harmonised

import melody
from melody.cli.output import table_lines
from melody.corpus import open_store
from melody.evaluation.critic import judge
from melody.evaluation.form import KICK, SNARE, Excerpt, overlap_of
from melody.evaluation.harmony import Harmony, cadences
from melody.generation import Composer
from melody.generation.decoders.rewriting import SIDE, STRETCH, read_on
from melody.generation.prepared import prepare
from melody.generation.settings import settings_of
from melody.learning.rewriter_model import (
    BATCH,
    LAYERS,
    WIDTH,
    WINDOW,
    Bools,
    GridPiece,
    pieces_of,
    rewriter_of,
    trained,
)
from melody.music.score import Score, bars, clip, notes_of
from melody.music.voice_leading import parallels, slices
from melody.tokens.cells import BEGINS, CELL, GROUND, HIDDEN, REST, SOUNDS, VALUES, Grid, cut, grid_of
from melody.tokens.plan import Bar, bars_of
from melody.tokens.rewriter import Rewriter

FIRST, LAST = 4, 7  # the gap, in bars from 1
OF_DRUMS = (5, 8)
ASKED = 16  # steps of an order that are measured
SEEN = 32  # sixteenths that are seen before one that is asked for, at least, where there are so many
IN_ORDER, ORDERS = 4, 4  # of so many steps all but one learn what is asked here; orders of voices whose mean is shown
KEPT = Path("outputs/rewriter-jsb16.safetensors")


def gaps(model: str, count: int, rounds: Sequence[int], tracks: Sequence[str]) -> list[dict[str, Any]]:
    """The figures of each way to fill the gaps, and of the bars that stood there."""
    composer = melody.load(model)
    gap = OF_DRUMS if are_drums(composer) else (FIRST, LAST)
    pieces = held_out(composer, count, gap[1])
    ways: dict[str, dict[str, Any]] = {"note after note": {"fill": gap}}
    ways |= {f"{number} rounds": {"rewrite": gap, "rounds": number} for number in rounds}
    human = [figures_of(composer, piece, gap) for piece in pieces]
    rows = [{"gap filled": "as it stood", **summed(human, human, gap)}]
    for name, options in ways.items():
        found = []
        for number, piece in enumerate(pieces):
            began = time.process_time()
            (take,) = composer.compose(piece, tracks=tracks, best_of=1, seed=number, **options)
            took = time.process_time() - began
            figures = figures_of(composer, take.score, gap)
            own = {"nats a new note": take.nats_per_note, "nats behind": take.nats_after, "seconds": took}
            found.append(figures | own)
        rows.append({"gap filled": name, **summed(found, human, gap)})
    return rows


def are_drums(composer: Composer) -> bool:
    """Return True for a model of drums alone."""
    return all(info.drums for info in composer.bundle.tracks)


def held_out(composer: Composer, count: int, last: int = LAST) -> list[Score]:
    """Pieces of the valid split that go on behind the `last` bar of a gap."""
    split, tokenizer = open_store(composer.bundle.settings["corpus"]).split("valid"), composer.bundle.tokenizer
    scores = (tokenizer.decode(split.piece(index)[0]) for index in range(len(split)))
    result = [score for score in scores if len(bars(score)) > last + 3][:count]
    for score in result:
        for track, info in zip(score.tracks, composer.bundle.tracks, strict=True):
            track.name = info.name
    return result


def figures_of(composer: Composer, filled: Score, gap: tuple[int, int]) -> dict[str, Any]:
    """What counts in the gap of a piece."""
    first, last = gap
    music = bars_of(composer.bundle.tokenizer.encode(filled).tolist())[0]
    result: dict[str, Any] = {"bars": music[first - 1 : last], "given": music[: first - 1]}
    if are_drums(composer):
        return result | {"groove": Excerpt(music[:last], first - 1)}
    around = clip(filled, first - 2, last + 1)  # and a bar on either side
    lines = [notes_of(track) for track in around.tracks if len(track.notes)]
    return result | {
        "parallels": len(parallels(slices(lines))),
        "notes": sum(len(notes_of(track).onset) for track in around.tracks),
        "harmony": Harmony.of(Excerpt(music[: last + 1], first - 1, bar_ticks=int(bars(filled)[2] - bars(filled)[1]))),
    }


def summed(found: Sequence[dict[str, Any]], human: Sequence[dict[str, Any]], gap: tuple[int, int]) -> dict[str, float]:
    """The figures of all gaps together."""
    known = "nats behind" in found[0]
    given: list[list[Bar]] = [one["given"] for one in human]
    ours, theirs = ([one["bars"] for one in side] for side in (found, human))
    result = {
        "nats a new note": float(np.mean([one["nats a new note"] for one in found])) if known else float("nan"),
        "nats behind": float(np.mean([one["nats behind"] for one in found])) if known else float("nan"),
    }
    if "groove" in found[0]:
        grooves = [one["groove"] for one in found]
        result |= {"kick from bar to bar": overlap_of(grooves, KICK), "snare": overlap_of(grooves, SNARE)}
    else:
        notes = sum(one["notes"] for one in found)
        result |= {
            "parallels per 1,000 notes": 1000 * sum(one["parallels"] for one in found) / notes,
            "cadences in 16 bars": cadences([one["harmony"] for one in found], len(found) * (gap[1] + 2 - gap[0])),
        }
    return result | {
        "notes a bar": float(np.mean([len(bar) for one in ours for bar in one])),
        "critic": judge(given, ours, theirs).all if known else 0.5,
        "seconds a gap": float(np.median([one["seconds"] for one in found])) if known else float("nan"),
    }


# ---- speed ----------------------------------------------------------------------------------------------------------


def speeds(model: str, count: int, rounds: Sequence[int]) -> list[dict[str, Any]]:
    """Seconds for eight bars in the midst of held-out pieces, each way in turn; the median."""
    composer = melody.load(model)
    pieces = held_out(composer, count, FIRST + 7)
    spans: list[dict[str, Any]] = [
        {"fill": (FIRST, FIRST + 7)},
        *({"rewrite": (FIRST, FIRST + 7), "rounds": number} for number in rounds),
    ]
    ways = [(voices, span) for voices in ((composer.bundle.tracks[1].name,), ()) for span in spans]
    took: dict[int, list[float]] = {place: [] for place in range(len(ways))}
    for number, piece in enumerate(pieces):
        for place, (voices, span) in enumerate(ways):
            began = time.process_time()
            composer.compose(piece, tracks=voices, best_of=1, seed=number, **span)
            took[place].append(time.process_time() - began)
    return [
        {
            "eight bars of": voices[0] if voices else "all",
            "in": f"{span['rounds']} rounds" if "rounds" in span else "note after note",
            "seconds": float(np.median(took[place])),
        }
        for place, (voices, span) in enumerate(ways)
    ]


# ---- both sides ------------------------------------------------------------------------------------------------------


def sides(model: str, count: int) -> list[dict[str, Any]]:
    """Nats a note of lower voices and of gaps, by either model."""
    composer = melody.load(model)
    pieces, rewriter = held_out(composer, count), composer.bundle.rewriter
    told, untold = (row["nats a note"] for row in harmonised(composer, pieces))
    below = sum(len(track.notes) for piece in pieces for track in piece.tracks[1:])
    gap = sum(len(notes_of(track).onset) for piece in pieces for track in clip(piece, FIRST - 1, LAST).tracks)
    filled = voices = bars_filled = 0.0
    generator = np.random.default_rng(0)
    for piece in pieces:
        prepared = prepare(composer.bundle, composer.engine, piece, settings_of({"fill": (FIRST, LAST)}))
        assert prepared.primer is not None
        (as_it_stood,) = read_on(prepared, composer.engine, [prepared.primer.view.score])
        filled += sum(as_it_stood.nats)
        if rewriter is not None:
            grid, lines = grid_of(piece, composer.bundle.style_value(None)), [tick // CELL for tick in bars(piece)]
            hidden = np.zeros(grid.cells.shape, bool)
            hidden[:, 1:] = True
            voices += orderless(rewriter, grid, hidden, generator)
            hidden = np.zeros(grid.cells.shape, bool)
            hidden[lines[FIRST - 1] : lines[LAST]] = True
            bars_filled += orderless(rewriter, grid, hidden, generator)
    return [
        {"known": "what is before", "lower voices": untold, "a gap": float("nan")},
        {"known": "and told of what is given", "lower voices": told, "a gap": filled / gap},
        {"known": "both sides, by the rewriter", "lower voices": voices / below, "a gap": bars_filled / gap},
    ]


def orderless(rewriter: Rewriter, grid: Grid, hidden: Bools, generator: np.random.Generator) -> float:
    """The nats of hidden cells (T, voices) that become known one after another, the mean of all orders.

    From so many steps as `ASKED` says: at each the mean of all that is hidden yet stands for the next cell.
    """
    places = np.argwhere(hidden)
    cells, ground = grid
    total = 0.0
    for edges in pairwise(np.linspace(0, len(places), ASKED + 1)):
        known = int(generator.uniform(*edges))
        left = np.array(generator.permutation(places)[known:])
        seen = cells.copy()
        seen[tuple(left.T)] = HIDDEN
        nats = []
        for start in range(int(left[:, 0].min()), int(left[:, 0].max()) + 1, STRETCH):
            window, at = cut(seen, ground, start - SIDE, STRETCH + 2 * SIDE)
            logits = rewriter.logits(window, at)[SIDE:].astype(np.float64)
            step, voice = left[(left[:, 0] >= start) & (left[:, 0] < start + STRETCH)].T
            own = logits[step - start, voice]
            nats.append(np.logaddexp.reduce(own, axis=1) - own[np.arange(len(own)), cells[step, voice]])
        total += (edges[1] - edges[0]) * float(np.concatenate(nats).mean())
    return total


# ---- nats -----------------------------------------------------------------------------------------------------------


def nats(steps: int, width: int, layers: int, batch: int, split: str, every: int) -> list[dict[str, Any]]:
    """The chronological nats of a rewriter of JSB-16, taught first where none is kept."""
    store = open_store("jsb16")
    valid = pieces_of(store, "valid")[::25]
    if not KEPT.is_file():
        least = float("inf")
        taught = trained(
            pieces_of(store, "train"),
            pieces_of(store, "valid"),
            steps=steps,
            width=width,
            layers=layers,
            batch=batch,
            in_order=IN_ORDER,
        )
        for step, hidden, network in taught:
            cost = chronological(network, valid, 1)
            seconds = time.process_time()
            print(f"step {step}: {hidden:.4f} nats a hidden cell, {cost:.4f} in order, {seconds:.0f} s", flush=True)
            if cost < least:
                least = cost
                KEPT.parent.mkdir(parents=True, exist_ok=True)
                save_file(rewriter_of(network).weights, KEPT)
    network = network_of(Rewriter.of(load_file(KEPT)))
    pieces = pieces_of(store, split)[::every]
    return [
        {"split": split, "pieces": len(pieces), "orders": orders, "nats": chronological(network, pieces, orders)}
        for orders in (1, ORDERS)
    ]


def network_of(rewriter: Rewriter) -> Any:
    """The network that has the weights of a rewriter."""
    import torch

    from melody.models.masked_transformer import MaskedTransformer

    weights = rewriter.weights
    heads, span = weights["layers.0.bias"].shape
    sizes = [len(weights[f"ground.{column}"]) for column in range(len(GROUND))]
    width = len(weights["norm.weight"])
    network = MaskedTransformer(
        rewriter.voices,
        rewriter.kind.values,
        sizes,
        width,
        rewriter.layers,
        heads,
        span // 2,
        sees_bars=rewriter.sees_bars,
    )
    network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    return network.eval()


def chronological(network: Any, pieces: Sequence[GridPiece], orders: int) -> float:
    """The nats of a voice and step, each from those before it alone; the mean of the voices' orders' probabilities."""
    import torch

    generator, total, size = np.random.default_rng(0), 0.0, 0
    for piece in pieces:
        cells, ground = piece.grid
        count, voices = cells.shape
        before = np.concatenate([np.full((1, voices), REST), cells[:-1]])
        may = np.array([lawful(value) for value in before.flat]).reshape(count, voices, VALUES)
        windows = [cut(cells, ground, start, WINDOW) for start in range(-SEEN, count - SEEN, WINDOW - SEEN)]
        seen, at = (torch.from_numpy(np.stack(part)) for part in zip(*windows, strict=True))
        found = np.zeros((orders, count))
        for order in range(orders):
            rank = np.argsort(generator.random(seen.shape), axis=2)
            for told in range(voices):
                with torch.no_grad():
                    read = network.in_order(seen, torch.from_numpy(rank < told), at).double().numpy()
                logits = np.where(may, read[:, SEEN:].reshape(-1, voices, VALUES)[:count], -np.inf)
                nats = np.logaddexp.reduce(logits, axis=2) - np.take_along_axis(logits, cells[..., None], 2)[..., 0]
                asked = rank[:, SEEN:].reshape(-1, voices)[:count] == told
                found[order] += np.where(asked, nats, 0).sum(axis=1)
        total -= float((np.logaddexp.reduce(-found, axis=0) - np.log(orders)).sum())
        size += cells.size
    return total / size


def lawful(before: int) -> np.ndarray:
    """The values (VALUES,) that may follow a cell where a repeated pitch is one long note."""
    may = np.ones(VALUES, bool)
    may[SOUNDS:] = False
    if before != REST:
        pitch = before - (SOUNDS if before >= SOUNDS else BEGINS)
        may[SOUNDS + pitch], may[BEGINS + pitch] = True, False
    return may


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["gaps", "sides", "nats", "speed"])
    parser.add_argument("--model", default="chorale")
    parser.add_argument("--pieces", type=int, default=24)
    parser.add_argument("--rounds", default="1,4,16,64")
    parser.add_argument("--tracks", default="", help="the voices that are filled; default: all")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--every", type=int, default=1, help="of these pieces each so many")
    parser.add_argument("--width", type=int, default=WIDTH, help="of the rewriter that is taught")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--batch", type=int, default=BATCH)
    options = parser.parse_args(arguments)
    rounds = [int(number) for number in options.rounds.split(",")]
    if options.what == "nats":
        tables = [nats(options.steps, options.width, options.layers, options.batch, options.split, options.every)]
    elif options.what == "sides":
        tables = [sides(options.model, options.pieces)]
    elif options.what == "speed":
        tables = [speeds(options.model, options.pieces, rounds)]
    else:
        tables = [gaps(options.model, options.pieces, rounds, options.tracks.split(",") if options.tracks else ())]
    for rows in tables:
        shown = dict.fromkeys(rows[0], lambda value: f"{value:.3f}" if isinstance(value, float) else str(value))
        print("\n".join(table_lines(rows, shown)))


if __name__ == "__main__":
    main()

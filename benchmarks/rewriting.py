"""Rewriting: gaps in held-out pieces filled note after note and in rounds, and what the rewriter itself knows.

Gaps: bars 4 to 7 of pieces of the valid split, in all voices or in some, one take each. Nats are those
of the model that goes from left to right: of the new bars, and of the two bars behind them, which it reads on; the
critic tells the new bars from those that stood there (.5: it cannot). What the composers wrote stands beside.

    python benchmarks/rewriting.py gaps [--model chorale] [--pieces 24] [--rounds 1,4,16,64] [--tracks Alto,Tenor]

Chronological nats: each cell from those before it alone, sixteenth by sixteenth and voice by voice in an order that is
drawn, as Coconet is measured (Huang et al. 2017, arXiv:1903.07227); on the grids of JSB-16 in nats a voice and step. A
rewriter of its train split is taught first, in some twenty minutes.

    python benchmarks/rewriting.py nats [--steps 3000] [--width 192] [--layers 4] [--split valid] [--every 4]

Speed: processor seconds of 8 bars, of a voice and of all, by either way; and a step of the encoder-decoder in torch
beside the same decoder without an encoder, with what it costs to encode 48 bars of 4/4, once a piece.

    python benchmarks/rewriting.py speed [--pieces 6]
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

import melody
from melody.cli.output import table_lines
from melody.corpus import open_store
from melody.evaluation.critic import judge
from melody.evaluation.form import Excerpt
from melody.evaluation.harmony import Harmony, cadences
from melody.generation import Composer
from melody.learning.rewriter_model import LAYERS, WIDTH, SungPiece, pieces_of, rewriter_of, trained
from melody.music.score import Score, bars, clip, notes_of
from melody.music.voice_leading import parallels, slices
from melody.tokens import EventTokenizer
from melody.tokens.cells import BEGINS, HIDDEN, REST, SOUNDS, VALUES, cut
from melody.tokens.plan import Bar, bars_of
from melody.tokens.rewriter import Rewriter
from melody.tokens.views import views_of

FIRST, LAST = 4, 7  # the gap, in bars from 1
BEFORE, AFTER = 96, 16  # cells that are seen before one, and hidden ones behind it
OF_ORDER = (0.2, 0.2, 0.6)  # shares of samples: most hide all that comes after a place, as here it is asked
KEPT = Path("outputs/rewriter-jsb16.safetensors")


def gaps(model: str, count: int, rounds: Sequence[int], tracks: Sequence[str]) -> list[dict[str, Any]]:
    """The figures of each way to fill the gaps, and of the bars that stood there."""
    composer = melody.load(model)
    pieces = held_out(composer, count)
    ways: dict[str, dict[str, Any]] = {"note after note": {"fill": (FIRST, LAST)}}
    ways |= {f"{number} rounds": {"rewrite": (FIRST, LAST), "rounds": number} for number in rounds}
    human = [figures_of(composer, piece) for piece in pieces]
    rows = [{"gap filled": "as it stood", **summed(human, human)}]
    for name, options in ways.items():
        found = []
        for number, piece in enumerate(pieces):
            began = time.process_time()
            (take,) = composer.compose(piece, tracks=tracks, best_of=1, seed=number, **options)
            took = time.process_time() - began
            figures = figures_of(composer, take.score)
            own = {"nats a new note": take.nats_per_note, "nats behind": take.nats_after, "seconds": took}
            found.append(figures | own)
        rows.append({"gap filled": name, **summed(found, human)})
    return rows


def held_out(composer: Composer, count: int, last: int = LAST) -> list[Score]:
    """Pieces of the valid split that go on behind the `last` bar of a gap."""
    split, tokenizer = open_store(composer.bundle.settings["corpus"]).split("valid"), composer.bundle.tokenizer
    scores = (tokenizer.decode(split.piece(index)[0]) for index in range(len(split)))
    result = [score for score in scores if len(bars(score)) > last + 3][:count]
    for score in result:
        for track, info in zip(score.tracks, composer.bundle.tracks, strict=True):
            track.name = info.name
    return result


def figures_of(composer: Composer, filled: Score) -> dict[str, Any]:
    """What counts in the gap of a piece."""
    around = clip(filled, FIRST - 2, LAST + 1)  # and a bar on either side
    lines = [notes_of(track) for track in around.tracks if len(track.notes)]
    music = bars_of(composer.bundle.tokenizer.encode(filled).tolist())[0]
    return {
        "parallels": len(parallels(slices(lines))),
        "notes": sum(len(notes_of(track).onset) for track in around.tracks),
        "bars": music[FIRST - 1 : LAST],
        "given": music[: FIRST - 1],
        "harmony": Harmony.of(Excerpt(music[: LAST + 1], FIRST - 1)),
    }


def summed(found: Sequence[dict[str, Any]], human: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The figures of all gaps together."""
    known = "nats behind" in found[0]
    given: list[list[Bar]] = [one["given"] for one in human]
    ours, theirs = ([one["bars"] for one in side] for side in (found, human))
    return {
        "nats a new note": float(np.mean([one["nats a new note"] for one in found])) if known else float("nan"),
        "nats behind": float(np.mean([one["nats behind"] for one in found])) if known else float("nan"),
        "parallels per 1,000 notes": 1000 * sum(one["parallels"] for one in found) / sum(o["notes"] for o in found),
        "cadences in 16 bars": cadences([one["harmony"] for one in found], len(found) * (LAST + 2 - FIRST)),
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


def encoder_speeds(steps: int = 200) -> list[dict[str, Any]]:
    """What a step costs with an encoder and without, in torch and in turns, and encoding, once a piece; medians."""
    import torch

    from melody.models import build

    torch.set_num_threads(1)
    tokenizer, decoder = EventTokenizer(), {"hidden_size": 256, "layers": 3}
    sizes = [channel.size for channel in tokenizer.channels]
    kinds = {"residual_lstm": decoder, "encoder_decoder": decoder | {"encoder_size": 64, "encoder_layers": 2}}
    nets: dict[str, Any] = {
        name: build(
            name, len(tokenizer.vocabulary), sizes, **views_of(tokenizer, {"name": name, **options}), **options
        ).eval()
        for name, options in kinds.items()
    }
    token, context = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1, len(sizes), dtype=torch.int64)
    took: dict[str, list[float]] = {f"{what} of {name}": [] for what in ("start", "step") for name in nets}
    with torch.no_grad():
        for _ in range(steps):
            for name, net in nets.items():
                began = time.process_time()
                carry = net.start(1)
                started = time.process_time()
                net(token, carry, context)
                took[f"start of {name}"].append(started - began)
                took[f"step of {name}"].append(time.process_time() - started)
    return [{"in torch": name, "milliseconds": 1000 * float(np.median(found))} for name, found in took.items()]


# ---- nats -----------------------------------------------------------------------------------------------------------


def nats(steps: int, split: str, every: int, width: int, layers: int) -> list[dict[str, Any]]:
    """The chronological nats of a rewriter of JSB-16, taught first where none is kept."""
    store = open_store("jsb16")
    if not KEPT.is_file():
        least = float("inf")
        for step, cost, network in trained(
            pieces_of(store, "train"),
            pieces_of(store, "valid"),
            steps=steps,
            width=width,
            layers=layers,
            kinds=OF_ORDER,
        ):
            print(f"step {step}: {cost:.4f} nats a hidden cell", flush=True)
            if cost < least:
                least = cost
                KEPT.parent.mkdir(parents=True, exist_ok=True)
                save_file(rewriter_of(network).weights, KEPT)
    rewriter = Rewriter.of(load_file(KEPT))
    generator = np.random.default_rng(0)
    pieces = pieces_of(store, split)[::every]
    costs = [chronological(rewriter, piece, generator) for piece in pieces]
    cells = sum(piece.grid.cells.size for piece in pieces)
    return [{"split": split, "pieces": len(pieces), "nats a voice and step": sum(costs) / cells}]


def chronological(rewriter: Rewriter, piece: SungPiece, generator: np.random.Generator) -> float:
    """The nats of all cells of a piece, each from those before it alone."""
    cells, ground = piece.grid
    total = 0.0
    for step in range(len(cells)):
        seen, at = cut(cells, ground, step - BEFORE, BEFORE + AFTER)
        at[BEFORE:, :2] = cut(cells[: step + 1], ground[: step + 1], step, AFTER)[1][:, :2]
        seen[BEFORE:] = HIDDEN
        for voice in generator.permutation(cells.shape[1]).tolist():
            logits = rewriter.logits(seen, at)[BEFORE, voice].astype(np.float64)
            may = lawful(int(cells[step - 1, voice]) if step else REST)
            target = int(cells[step, voice])
            total += float(np.logaddexp.reduce(logits[may]) - logits[target])
            seen[BEFORE, voice] = target
    return total


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
    parser.add_argument("what", choices=["gaps", "nats", "speed"])
    parser.add_argument("--model", default="chorale")
    parser.add_argument("--pieces", type=int, default=24)
    parser.add_argument("--rounds", default="1,4,16,64")
    parser.add_argument("--tracks", default="", help="the voices that are filled; default: all")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--every", type=int, default=1, help="of these pieces each so many")
    parser.add_argument("--width", type=int, default=WIDTH, help="of the rewriter that is taught")
    parser.add_argument("--layers", type=int, default=LAYERS)
    options = parser.parse_args(arguments)
    rounds = [int(number) for number in options.rounds.split(",")]
    if options.what == "nats":
        tables = [nats(options.steps, options.split, options.every, options.width, options.layers)]
    elif options.what == "speed":
        tables = [speeds(options.model, options.pieces, rounds), encoder_speeds()]
    else:
        tables = [gaps(options.model, options.pieces, rounds, options.tracks.split(",") if options.tracks else ())]
    for rows in tables:
        shown = dict.fromkeys(rows[0], lambda value: f"{value:.3f}" if isinstance(value, float) else str(value))
        print("\n".join(table_lines(rows, shown)))


if __name__ == "__main__":
    main()

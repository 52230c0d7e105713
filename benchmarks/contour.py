"""Contours: how closely new tunes follow a line that they are asked to, beside takes of the same seeds that are not.

Lines are those of held-out tunes (test split), and plain shapes. What is compared are the heights of line and tune in
each half of a bar, by their correlation. Takes are unfiltered. *Repeats*, the share of bars that nearly are one of the
bars before, says whether the form suffers.

    python benchmarks/contour.py [--model folk] [--lines 40] [--bars 16] [--json]
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

import melody
from melody.corpus import open_store
from melody.generation import Composer
from melody.generation.contour import line_of
from melody.music.quantize import quantize
from melody.music.score import Score, bars, clip
from melody.tokens import EventTokenizer
from melody.tokens.contour import curve_of, drawn_along, means
from melody.tokens.harmony import steps_of, tune_of
from melody.tokens.plan import bars_of, key_of, likeness

SHAPES = {
    "rising": (-6.0, 6.0),
    "arch": (-5.0, 5.0, -5.0),
    "valley": (5.0, -5.0, 5.0),
    "two waves": (0.0, 5.0, 0.0, -5.0, 0.0, 5.0, 0.0, -5.0, 0.0),
}
TAKES = 10  # of each shape
PRIMER = 4  # bars
METER = (4, 4)
NEARLY = 0.6  # of the notes of two bars together, those that both have


def correlation(score: Score, line: Sequence[float], first: int = 0) -> float:
    """The correlation of a tune, from a bar on, with a line stretched over it; 0 where one of them is level."""
    score = quantize(score)
    lines = bars(score)
    edges = np.array([*(tick for bar in steps_of(score, "halves")[first:] for tick in bar), lines[-1]])
    tune = tune_of(score)
    found, asked = means(curve_of(tune, int(lines[-1])), edges), drawn_along(line, edges)
    return float(np.corrcoef(found, asked)[0, 1]) if found.std() > 0 and asked.std() > 0 else 0.0


def repeats(score: Score) -> float:
    """The share of bars that nearly are one before them."""
    found = [key_of(bar) for bar in bars_of(EventTokenizer().encode(score).tolist())[0]]
    return float(np.mean([any(likeness(bar, old) >= NEARLY for old in found[:n]) for n, bar in enumerate(found)]))


def held_out(count: int, wanted: int) -> list[tuple[Score, tuple[float, ...]]]:
    """The beginnings of test tunes in 4/4 that are as long, each with the line of another."""
    split, tokenizer = open_store("folk").split("test"), EventTokenizer()
    pieces = (tokenizer.decode(split.piece(index)[0]) for index in range(len(split)))
    found = []
    for score in pieces:
        same = {(m.numerator, m.denominator) for m in score.time_signatures} == {METER}
        if same and len(bars(score)) - 1 >= wanted:
            found.append(clip(score, 0, wanted))
    found = found[:count]
    return [(clip(one, 0, PRIMER), line_of(other, "")) for one, other in zip(found, found[1:] + found[:1], strict=True)]


def along(composer: Composer, cases: Sequence[tuple[Score | None, Sequence[float], int]], bars_: int) -> dict[str, Any]:
    """Mean correlations, and repeats, of a take along each line and of one that is not told of it."""
    row: dict[str, Any] = {}
    for name in ("asked", "not asked"):
        takes = []
        for primer, line, seed in cases:
            options: dict[str, Any] = {"bars": bars_, "meter": METER, "only_new": True}
            options |= {"contour": tuple(line)} if name == "asked" else {}
            takes += composer.compose(primer, seed=seed, **options)
        row[name] = float(np.mean([correlation(t.score, c[1]) for t, c in zip(takes, cases, strict=True)]))
        row[f"repeats, {name}"] = float(np.mean([repeats(take.score) for take in takes]))
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="folk")
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    composer = melody.load(options.model)
    pairs = held_out(options.lines, options.bars)
    rows = {
        "lines of held-out tunes": along(composer, [(None, c[1], n) for n, c in enumerate(pairs)], options.bars),
        "after a primer": along(composer, [(*c, n) for n, c in enumerate(pairs)], options.bars),
    }
    for name, shape in SHAPES.items():
        rows[name] = along(composer, [(None, shape, seed) for seed in range(TAKES)], options.bars)
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    for name, row in rows.items():
        print(f"{name:24} " + "  ".join(f"{key} {value:.2f}" for key, value in row.items()))


if __name__ == "__main__":
    main()

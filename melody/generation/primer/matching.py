"""How well a musician's line fits one of the model's tracks, and the matching that fits best on the whole.

A misfit is counted in semitones: how far the mean pitches lie apart, how far the line leaves the track's range, and how
much fuller or thinner it is; a name in common makes up for much, the very same name for all. Where nothing else
decides, high goes to high and first to first. The matching with the least sum is found by the Hungarian method.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.bundle import TrackInfo
from melody.music.score import Ints, Notes

Floats = NDArray[np.float64]

TWICE_AS_FULL = 9.0  # semitones that twice as many notes at once, or half as many, count for
NAME_ALIKE = 24.0
NAME_EQUAL = 200.0
PEAK = 3  # in the fullest moment of a corpus a track of chords sounds about so many times as full as it usually does
FIRST_LETTERS = 3  # that two words must share at least
CALLED = {
    "melody": "canto gesang lead solo song theme tune vocal vocals voice voix",
    "piano": "keyboard keys klavier pianoforte pno",
    "soprano": "cantus descant discant treble",
    "drums": "beat groove kit percussion schlagzeug",
}
_MEANING = {word: meaning for meaning, words in CALLED.items() for word in words.split()}


class Shape(NamedTuple):
    """What of a line its place depends on: pitches, and how many notes sound at once while any does."""

    lowest: int
    highest: int
    mean: float
    voices: float


def shape_of(notes: Notes) -> Shape:
    """The shape of a line that has notes."""
    pitch = notes.pitch
    return Shape(int(pitch.min()), int(pitch.max()), float(np.mean(pitch)), voices_of(notes))


def voices_of(notes: Notes) -> float:
    """How many notes sound at once on average, while any does: 1 for a single line, about 3 for a pianist."""
    if not len(notes.onset):
        return 0.0
    order = np.argsort(notes.onset, kind="stable")
    onset = notes.onset[order]
    reach: Ints = np.maximum.accumulate(onset + notes.duration[order])
    heard = reach[0] - onset[0] + np.sum(reach[1:] - np.maximum(onset[1:], reach[:-1]))
    return float(notes.duration.sum() / max(1, heard))


def misfit(shape: Shape, info: TrackInfo) -> float:
    """How badly a line fits a track of the model, in semitones."""
    outside = max(0, info.lowest - shape.lowest) + max(0, shape.highest - info.highest)
    fuller = abs(np.log2(shape.voices / max(1, info.polyphony / PEAK)))
    return abs(shape.mean - info.mean) + outside + TWICE_AS_FULL * float(fuller)


def match(shapes: Sequence[Shape], infos: Sequence[TrackInfo], names: Sequence[str]) -> dict[int, int]:
    """For tracks of the model the line that goes there: all of the fewer, at the least misfit together.

    `names` has one for each line; several lines of one name are no better known by it than by a like one.
    """
    if not shapes or not infos:
        return {}
    costs = np.array([[misfit(shape, info) for shape in shapes] for info in infos])  # (places, lines)
    apart = np.array([[shape.mean - info.mean for shape in shapes] for info in infos])
    steps = np.arange(len(infos))[:, None] - np.arange(len(shapes))
    costs += 1e-5 * apart**2 + 1e-8 * steps**2  # both bend the sums, so that of equal ones the uncrossed is the least
    for line, name in enumerate(names):
        for place, info in enumerate(infos):
            costs[place, line] -= name_likeness(name, info.name, names.count(name) == 1)
    return assign(costs)


def name_likeness(name: str, wanted: str, alone: bool = True) -> float:
    """What a name counts for: most for the very same, much for a like one (Sop. for Soprano, Melodie for Melody)."""
    if alone and name.strip().casefold() == wanted.strip().casefold():
        return NAME_EQUAL
    pairs = ((one, other) for one in _words(name) for other in _words(wanted))
    return NAME_ALIKE if any(_alike(one, other) for one, other in pairs) else 0.0


def _words(name: str) -> list[str]:
    """The words of a name in plain small letters, each said in melody's own word where it has one."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return [_MEANING.get(word, word) for word in re.findall(r"[^\W\d_]+", plain)]


def _alike(one: str, other: str) -> bool:
    """Whether one word begins as the other, up to the last letter of the shorter."""
    shorter = min(len(one), len(other))
    needed = max(FIRST_LETTERS, shorter - 1)
    return shorter >= needed and one[:needed] == other[:needed]


def assign(costs: Floats) -> dict[int, int]:
    """For each row its column, or for some of more rows: at the least sum of costs (rows, columns), each used once.

    The Hungarian method by shortest augmenting paths: Jonker and Volgenant, Computing 38, 1987.
    """
    rows, columns = costs.shape
    if rows > columns:
        return {row: column for column, row in sorted(assign(costs.T).items())}
    row_price, price = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.full(columns + 1, -1)  # of each column; the last column is where the row stands that looks for one
    for row in range(rows):
        row_of[columns], column = row, columns
        distance, before = np.full(columns, np.inf), np.full(columns, columns)
        done = np.zeros(columns + 1, bool)
        while row_of[column] >= 0:
            done[column], here = True, row_of[column]
            through = costs[here] - row_price[here] - price[:-1]
            nearer = ~done[:-1] & (through < distance)
            distance[nearer], before[nearer] = through[nearer], column
            column = int(np.argmin(np.where(done[:-1], np.inf, distance)))
            step = distance[column]
            row_price[row_of[done]] += step
            price[done] -= step
            distance[~done[:-1]] -= step
        while column != columns:  # the path back, along which each column takes the row of the one before
            row_of[column] = row_of[before[column]]
            column = before[column]
    return {int(row): column for column, row in enumerate(row_of[:-1]) if row >= 0}

"""A model of how tunes move in their bars: from one place in the bar to the next onset, for each meter.

`meters.json` holds counts from training pieces (`melody.learning.meters`). Times are units of a twelfth of a quarter,
on which sixteenths and triplets are exact.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.errors import UsageError

TABLE = Path(__file__).with_name("meters.json")
UNIT = 2  # ticks of the grid of 24 a quarter
QUARTER = 12  # units
LONGEST = 12 * QUARTER  # bar
AS = {"2/2": "4/4", "4/8": "2/4"}  # how a meter is heard
AS_PAIR = {(2, 2): (4, 4), (4, 8): (2, 4)}
SMOOTHING = 1.0  # millionths of first places that were never seen
SEEN = 0.95  # share of moves that are as counted at their place; the others are as anywhere in the bar
RARE = 3e-4  # share of onsets up to which a place is left out
NEVER = 1e-7  # share of a move that was never seen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Move(NamedTuple):
    """A step from a place in the bar to the next onset, in units."""

    place: int
    step: int


class MeterModel(NamedTuple):
    """A meter: the length of its bar in units, and log-probabilities of itself, first places and moves."""

    meter: tuple[int, int]
    bar: int
    beat: int  # units of the beat that one counts
    share: float
    places: Ints  # (P,) where onsets lie, units from the bar line
    first: Floats  # (P,)
    moves: Floats  # (P, 2 * bar + 1): of the step from each place; step 0 never


@cache
def meter_models() -> tuple[MeterModel, ...]:
    """Return the meters that melody hears by itself."""
    rows = json.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(_model((int(name.split("/")[0]), int(name.split("/")[1])), row) for name, row in rows.items())


def meter_of(meter: tuple[int, int]) -> MeterModel:
    """Return a meter that was asked for; of one that tunes do not have, the beats are those of 4/4 or 6/8."""
    for model in meter_models():
        if model.meter == meter or model.meter == AS_PAIR.get(meter):
            return model._replace(meter=meter)
    if 4 * QUARTER * meter[0] % meter[1] or 4 * QUARTER * meter[0] // meter[1] > LONGEST:
        raise UsageError(
            f"`meter` {meter[0]}/{meter[1]}: a recording is heard in bars of up to 12 quarters, "
            "by halves, quarters, eighths or sixteenths"
        )
    like = "6/8" if meter[1] >= 8 and meter[0] % 3 == 0 else "4/4"
    row = json.loads(TABLE.read_text(encoding="utf-8"))[like]
    return _model(meter, {"share": 1, "first": [[0, 100]], "moves": [], "beats": row["moves"]})


def _model(meter: tuple[int, int], row: dict[str, Any]) -> MeterModel:
    numerator, denominator = meter
    bar = 4 * QUARTER * numerator // denominator
    first = np.full(bar, SMOOTHING)
    moves = np.zeros((bar, 2 * bar + 1))
    for place, mass in row["first"]:
        first[place] += mass
    for place, step, mass in row["moves"]:
        moves[place, step] += mass
    for place, step, mass in row.get("beats", ()):
        for beat in range(place % QUARTER, bar, QUARTER):
            if step <= 2 * bar:
                moves[beat, step] += mass
    moves = moves / moves.sum()
    anywhere = moves.sum(axis=0) / bar
    places = np.flatnonzero((moves.sum(axis=1) > RARE) | (np.arange(bar) % QUARTER == 0))
    moves = SEEN * moves + (1 - SEEN) * anywhere + NEVER
    moves[:, 0] = 0
    with np.errstate(divide="ignore"):
        moves = np.log(moves / moves.sum(axis=1, keepdims=True))
    compound = numerator % 3 == 0 and numerator > 3 and denominator >= 8
    beat = (3 if compound else 1) * 4 * QUARTER // denominator
    share = float(np.log(row["share"] / 1e6))
    return MeterModel(meter, bar, beat, share, places, np.log(first / first.sum())[places], moves[places])

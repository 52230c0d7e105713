"""Choice among notations of one rhythm as people would have written it: in quarters or in eighths, in two or in three.

A metrical model likes the same onsets about as well at half or twice the tempo. So what it finds are candidates, each
is described by what a reader would look at (where onsets lie in the bar, how long notes are in beats, whether bars
return, where the line leaps, how fast the beat is), and a small network of one layer, `notation.json`, that has learned
from tunes in our corpora (`melody.learning.notations`), says which one it prefers.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.senses.metrical import QUARTER, MeterModel, meter_models

TABLE = Path(__file__).with_name("notation.json")
USUAL_QPM, SLOW_QPM, FAST_QPM = 104.0, 70.0, 150.0  # of beats that people play
LAGS = (1, 2, 4, 8)  # bars after which they may return
LONGEST = 4.0  # beats: longer notes count as this

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Notation(NamedTuple):
    """A meter, the seconds of a unit, the units of each onset (N,), and the log-likelihood of these steps."""

    model: MeterModel
    unit_seconds: float
    units: Ints
    fit: float


class Preference(NamedTuple):
    """A network of one hidden layer: (F,) features, shifted and scaled, to a number."""

    names: tuple[str, ...]
    shift: Floats  # (F,)
    scale: Floats  # (F,)
    inner: Floats  # (F, H)
    bias: Floats  # (H,)
    outer: Floats  # (H,)

    def of(self, rows: Floats) -> Floats:
        """The preference (R,) for rows (R, F) of features, as log-odds beside each other."""
        return np.asarray(np.tanh((rows - self.shift) / self.scale @ self.inner + self.bias) @ self.outer)


@cache
def preference() -> Preference:
    """Return the network that is shipped."""
    found = json.loads(TABLE.read_text(encoding="utf-8"))
    return Preference(tuple(found.pop("names")), *(np.array(found[name]) for name in Preference._fields[1:]))


def preferred(found: list[Notation], onsets: Floats, pitches: Ints) -> Floats:
    """Return the preference (R,) for each notation of onsets (N,) in seconds and their pitches (N,)."""
    known = preference()
    rows = [described(one, onsets, pitches) for one in found]
    return known.of(np.array([[row[name] for name in known.names] for row in rows]))


def described(notation: Notation, onsets: Floats, pitches: Ints) -> dict[str, float]:
    """Return the features of a notation by name."""
    model, unit, units, _ = notation
    meters = {f"in {m.meter[0]}/{m.meter[1]}": float(m.meter == model.meter) for m in meter_models()}
    return {
        **meters,
        **_of_fit(notation, onsets),
        **_of_tempo(model, unit, np.diff(onsets)),
        **_of_places(model, units, pitches),
        **_of_returns(model, units, pitches),
    }


def _of_fit(notation: Notation, onsets: Floats) -> dict[str, float]:
    model, unit, units, fit = notation
    line = np.polyval(np.polyfit(units, onsets, 1), units) if units[-1] > units[0] else onsets
    steps = np.diff(onsets) - np.diff(units) * unit
    return {
        "fit": fit / len(units),
        "whole fit": 0.05 * fit,
        "share": model.share,
        "off the line": min(float(np.sqrt(np.mean((onsets - line) ** 2))) / 0.02, 5.0),
        "off each step": min(float(np.sqrt(np.mean(steps**2))) / 0.02, 5.0) if len(steps) else 0.0,
    }


def _of_tempo(model: MeterModel, unit: float, gaps: Floats) -> dict[str, float]:
    tempo = float(np.log(60 / (unit * model.beat)))
    lengths = gaps / (unit * model.beat) if len(gaps) else np.ones(1)
    return {
        "tempo": tempo - np.log(USUAL_QPM),
        "tempo squared": (tempo - np.log(USUAL_QPM)) ** 2,
        "faster than usual": max(0.0, tempo - float(np.log(FAST_QPM))),
        "slower than usual": max(0.0, float(np.log(SLOW_QPM)) - tempo),
        "quarters": float(np.log(60 / (unit * QUARTER * USUAL_QPM))),
        "short notes": float(np.log(np.maximum(np.percentile(lengths, 25), 1e-3) * model.beat / QUARTER)),
        "usual notes": float(np.log(np.maximum(np.median(lengths), 1e-3))),
        "long notes": float(np.mean(lengths > 2.5)),
    }


def _of_places(model: MeterModel, units: Ints, pitches: Ints) -> dict[str, float]:
    bar, beat = model.bar, model.beat
    place, bars = units % bar, max(1.0, float(units[-1] - units[0]) / bar)
    on_beat, on_line = place % beat == 0, place == 0
    length = np.log(np.minimum(np.append(np.diff(units), beat) / beat, LONGEST))
    leap = np.minimum(np.abs(np.diff(pitches, prepend=pitches[:1])), 12)

    def more(values: Floats | Ints, where: NDArray[np.bool_]) -> float:
        return float(values[where].mean() - values.mean()) if where.any() else 0.0

    return {
        "notes a beat": len(units) / bars * beat / bar,
        "on beats": float(on_beat.mean()),
        "on lines": float(on_line.mean()) * bar / beat,
        "lines with notes": min(1.0, float(on_line.sum()) / bars),
        "beats with notes": min(1.0, float(on_beat.sum()) * beat / bar / bars),
        "on eighths alone": float(np.mean(place % 3 == 0) - np.mean(place % 6 == 0)),
        "finer": float(np.mean(place % 3 != 0)),
        "longer on lines": more(length, on_line),
        "longer on beats": more(length, on_beat),
        "longer in the middle": more(length, place == bar // 2) if bar % (2 * beat) == 0 else 0.0,
        "leaps to lines": more(leap, on_line),
        "begins on a line": float(on_line[0]),
    }


def _of_returns(model: MeterModel, units: Ints, pitches: Ints) -> dict[str, float]:
    """Likeness of each bar's rhythm, and of its notes, to those of some bars before it."""
    result = {}
    notes = {"rhythms": units % model.bar, "notes": units % model.bar * 128 + pitches}
    for name, values in notes.items():
        found: dict[int, set[int]] = {}
        for number, value in zip((units // model.bar).tolist(), values.tolist(), strict=True):
            found.setdefault(number, set()).add(value)
        for lag in LAGS:
            pairs = [(own, found[number - lag]) for number, own in found.items() if number - lag in found]
            alike = [len(one & other) / len(one | other) for one, other in pairs]
            result[f"{name} after {lag}"] = float(np.mean(alike)) if alike else 0.5
    return result

"""Tempo, meter and the places of onsets in their bars, heard together: a Viterbi search over places.

Each onset lies at a place of the bar; the time since the one before is its step times the tempo, give or take what
hands do; how likely a step is from a place says `metrical`. Every tempo on a ladder is tried with every meter, and the
likeliest of all is fitted to the onsets. So "metrical Markov models" do it (Nakamura, Yoshii & Sagayama 2017,
arXiv:1701.08343), here with tables of tunes. The tempo may drift: steps are judged one by one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Ints
from melody.senses.metrical import QUARTER, MeterModel, meter_models, meter_of

Floats = NDArray[np.float64]
BEATS_QPM = (36.0, 216.0)  # the ladder: beats a minute
RUNG = 1.03
USUAL_QPM, SPREAD = 104.0, 0.1  # of beats that people play; the spread of their logarithm
OFF_SECONDS, OFF_SHARE = 0.022, 0.03  # standard deviation of a step's length: this, and a share of it
TRUST = 0.2  # in what onsets say of the tempo: they depend on each other more than the tables know
FLOOR = -9.0  # log-probability of a step that fits nothing: an onset missed or imagined
GIVEN = 0.12  # log of how far a tempo may lie from the one given
STEADY_SECONDS = 0.04  # mean deviation from one tempo up to which there is one


@dataclass(frozen=True)
class HeardRhythm:
    """A meter, its beat and the units (twelfths of a quarter) of each onset from the bar line before the first."""

    model: MeterModel
    unit_seconds: float
    units: Ints  # (N,)
    margin: float  # log-odds for each onset against the best other meter
    other: tuple[int, int]  # that meter

    @property
    def qpm(self) -> float:
        """Quarters a minute."""
        return 60 / (QUARTER * self.unit_seconds)


def heard_rhythm(onsets: Floats, tempo_qpm: float | None = None, meter: tuple[int, int] | None = None) -> HeardRhythm:
    """Return the likeliest rhythm of onsets in seconds, (N,), in a given tempo and meter where these are known."""
    models = (meter_of(meter),) if meter else meter_models()
    gaps = np.diff(onsets)
    found = []
    for model in models:
        ladder = _ladder(model, tempo_qpm)
        fit = _fit(model, ladder, gaps)
        usual = tempo_qpm * QUARTER / model.beat if tempo_qpm else USUAL_QPM
        fit = TRUST * (fit + model.share) - 0.5 * (np.log(60 / (ladder * model.beat) / usual) / SPREAD) ** 2
        best = int(np.argmax(fit))
        found.append((float(fit[best]), model, float(ladder[best])))
    found.sort(key=lambda row: -row[0])
    _, model, unit = found[0]
    steps = _steps(model, unit, gaps)
    units = np.concatenate([[0], np.cumsum(steps[1:])]) + steps[0]
    for _ in range(2):  # the ladder's rung, then the fit
        unit = _slope(units, onsets) or unit
        steps = _steps(model, unit, gaps)
        units = np.concatenate([[0], np.cumsum(steps[1:])]) + steps[0]
    second = found[1] if len(found) > 1 else found[0]
    return HeardRhythm(model, unit, units, (found[0][0] - second[0]) / max(1, len(gaps)), second[1].meter)


def _ladder(model: MeterModel, tempo_qpm: float | None) -> Floats:
    """Return the lengths of a unit in seconds that are tried."""
    low, high = BEATS_QPM
    if tempo_qpm:
        asked = tempo_qpm * QUARTER / model.beat
        low, high = asked * np.exp(-GIVEN), asked * np.exp(GIVEN)
    rungs = low * RUNG ** np.arange(int(np.log(high / low) / np.log(RUNG)) + 1)
    return np.asarray(60 / (rungs * model.beat))


def _places(model: MeterModel) -> tuple[Ints, Ints]:
    """Return the steps from each place to each, (P, P): within a bar, and a bar more."""
    step = (model.places[None] - model.places[:, None] - 1) % model.bar + 1
    return step, step + model.bar


def _off(model: MeterModel, unit: Floats, gap: float) -> tuple[Floats, Ints]:
    """Return the log-likelihood of each step for a gap, (K, 2 * bar + 1), and the whole bars left out of it, (K,)."""
    bar = model.bar * unit
    spare = np.maximum(0, np.ceil(gap / bar - 2)).astype(np.int64)
    sigma = np.hypot(OFF_SECONDS, OFF_SHARE * gap)
    steps = np.arange(2 * model.bar + 1)
    away = (gap - spare * bar)[:, None] - steps * unit[:, None]
    return np.maximum(-0.5 * (away / sigma) ** 2, FLOOR), spare


def _fit(model: MeterModel, unit: Floats, gaps: Floats) -> Floats:
    """Return the log-likelihood of the best path at each tempo, (K,)."""
    once, twice = _places(model)
    rows = np.arange(len(model.places))[:, None]
    likely = (model.moves[rows, once], model.moves[rows, twice])
    best = np.repeat(model.first[None], len(unit), 0)  # (K, P)
    for gap in gaps:
        off, _ = _off(model, unit, float(gap))
        step = np.maximum(likely[0] + off[:, once], likely[1] + off[:, twice])  # (K, from, to)
        best = (best[:, :, None] + step).max(axis=1)
    return np.asarray(best.max(axis=1))


def _steps(model: MeterModel, unit: float, gaps: Floats) -> Ints:
    """Return the first place and the steps of the best path at one tempo, (N,)."""
    once, twice = _places(model)
    rows = np.arange(len(model.places))[:, None]
    units, here = np.array([unit]), np.arange(len(model.places))
    best, back = model.first.copy(), []
    for gap in gaps:
        off, spare = _off(model, units, float(gap))
        short, long = model.moves[rows, once] + off[0, once], model.moves[rows, twice] + off[0, twice]
        total = best[:, None] + np.maximum(short, long)
        came = total.argmax(axis=0)
        step = np.where(long > short, twice, once)[came, here] + int(spare[0]) * model.bar
        back.append((came, step))
        best = total[came, here]
    place = int(best.argmax())
    steps = []
    for came, step in reversed(back):
        steps.append(int(step[place]))
        place = int(came[place])
    return np.array([model.places[place], *reversed(steps)], np.int64)


def _slope(units: Ints, onsets: Floats) -> float:
    """Return the seconds of a unit that fit onsets best; 0 where they are all at one place."""
    if len(units) < 2 or units[-1] == units[0]:
        return 0.0
    return max(0.0, float(np.polyfit(units, onsets, 1)[0]))

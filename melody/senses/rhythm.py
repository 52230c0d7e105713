"""Tempo, meter and the places of onsets in their bars, heard together: a Viterbi search over places.

Each onset lies at a place of the bar; the time since the one before is its step times the tempo, give or take what
hands do; how likely a step is from a place says `metrical`. Every tempo on a ladder is tried with every meter; of each
meter the likeliest are fitted to the onsets, and `notation` chooses among them. So "metrical Markov models" do it
(Nakamura, Yoshii & Sagayama 2017, arXiv:1701.08343), here with tables of tunes. The tempo may drift: steps are judged
one by one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Ints
from melody.senses.metrical import QUARTER, MeterModel, meter_models, meter_of
from melody.senses.notation import USUAL_QPM, Notation, preferred

Floats = NDArray[np.float64]
BEATS_QPM = (36.0, 216.0)  # the ladder: beats a minute
RUNG = 1.03
SPREAD = 0.5  # of the logarithm of the beats that people play about `USUAL_QPM`, so far as candidates are concerned
TEMPOS = 3  # candidates of each meter
STEADY = 0.15  # share by which a step may be longer or shorter than usual
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
    margin: float  # log-odds against the best other meter
    other: tuple[int, int]  # that meter

    @property
    def qpm(self) -> float:
        """Quarters a minute."""
        return 60 / (QUARTER * self.unit_seconds)


def heard_rhythm(
    onsets: Floats, tempo_qpm: float | None = None, meter: tuple[int, int] | None = None, pitches: Ints | None = None
) -> HeardRhythm:
    """Return the likeliest rhythm of onsets in seconds, (N,), in a given tempo and meter where these are known.

    `pitches` (N,) help to tell where bars begin.
    """
    pitches = np.zeros(len(onsets), np.int64) if pitches is None else pitches
    found = notations(onsets, tempo_qpm, meter)
    wanted = preferred(found, onsets, pitches)
    best = int(wanted.argmax())
    model, unit, units, _ = found[best]
    others = [place for place, one in enumerate(found) if one.model.meter != model.meter] or [best]
    second = max(others, key=lambda place: wanted[place])
    return HeardRhythm(
        model, _pace(units, onsets) or unit, units, float(wanted[best] - wanted[second]), found[second].model.meter
    )


def notations(onsets: Floats, tempo_qpm: float | None = None, meter: tuple[int, int] | None = None) -> list[Notation]:
    """Return the notations that stand out: of each meter the best tempos, each fitted to the onsets."""
    gaps, found = np.diff(onsets), []
    for model in (meter_of(meter),) if meter else meter_models():
        ladder = _ladder(model, tempo_qpm)
        usual = tempo_qpm * QUARTER / model.beat if tempo_qpm else USUAL_QPM
        spread = GIVEN if tempo_qpm else SPREAD
        fit = TRUST * _fit(model, ladder, gaps) - 0.5 * (np.log(60 / (ladder * model.beat) / usual) / spread) ** 2
        found += [_fitted(model, float(ladder[rung]), onsets) for rung in _peaks(fit)]
    return found


def _peaks(values: Floats) -> Ints:
    """Return the places of the highest peaks, up to `TEMPOS`."""
    around = np.pad(values, 1, constant_values=-np.inf)
    peaks = np.flatnonzero((values > around[:-2]) & (values >= around[2:]))
    return peaks[np.argsort(-values[peaks])][:TEMPOS]


def _fitted(model: MeterModel, unit: float, onsets: Floats) -> Notation:
    """Return the steps of onsets at about a tempo, and the tempo that fits them."""
    gaps = np.diff(onsets)
    for _ in range(2):  # the ladder's rung, then the fit
        steps, fit = _steps(model, unit, gaps)
        units = np.cumsum(steps)
        unit = _slope(units, onsets) or unit
    return Notation(model, unit, units, fit)


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


def _steps(model: MeterModel, unit: float, gaps: Floats) -> tuple[Ints, float]:
    """Return the first place and the steps of the best path at one tempo, (N,), and its log-likelihood."""
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
    fit, steps = float(best[place]), []
    for came, step in reversed(back):
        steps.append(int(step[place]))
        place = int(came[place])
    return np.array([model.places[place], *reversed(steps)], np.int64), fit


def _pace(units: Ints, onsets: Floats) -> float:
    """Return the seconds of a unit in most steps, so that one that was miscounted changes nothing; 0 where none is."""
    steps, gaps = np.diff(units), np.diff(onsets)
    steps, gaps = steps[steps > 0], gaps[steps > 0]
    if not len(steps):
        return 0.0
    order = np.argsort(gaps / steps)
    middle = int(np.searchsorted(np.cumsum(steps[order]), steps.sum() / 2))
    usual = gaps[order[middle]] / steps[order[middle]]
    near = np.abs(gaps / steps / usual - 1) < STEADY
    return float(gaps[near].sum() / steps[near].sum())


def _slope(units: Ints, onsets: Floats) -> float:
    """Return the seconds of a unit that fit onsets best; 0 where they are all at one place."""
    if len(units) < 2 or units[-1] == units[0]:
        return 0.0
    return max(0.0, float(np.polyfit(units, onsets, 1)[0]))

"""Statistics of bars: form, rhythm, loudness and line, a row of figures by name.

By them a critic tells composed bars from what people wrote (`melody.evaluation.critic`), and a taste ranks takes
(`melody.generation.taste`). Bars are as `melody.tokens.plan` has them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.music.score import GRID
from melody.tokens.plan import DRUM_HIT, Bar, key_of, likeness

LAGS = (1, 2, 3, 4, 6, 8, 12, 16)
Row = dict[str, float]


def form_of(given: Sequence[Bar], new: Sequence[Bar]) -> Row:
    """Return figures of what returns, when and how closely; by places in phrases too. No bar may be given."""
    keys, start = [key_of(bar) for bar in (*given, *new)], len(given)
    rows = range(start, len(keys))
    row: Row = {}
    table = np.array([[likeness(keys[i], keys[i - lag]) if lag <= i else np.nan for lag in LAGS] for i in rows])
    for column, lag in zip(table.T, LAGS, strict=True):
        there = column[~np.isnan(column)]
        row |= {
            f"likeness {lag}": _mean(there),
            f"nearly {lag}": _mean(there >= 0.6),
            f"exactly {lag}": _mean(there >= 0.99),
        }
        row[f"spread {lag}"] = float(there.std()) if len(there) else 0.0
    best = np.array([max((likeness(keys[i], keys[j]) for j in range(i)), default=0) for i in rows])
    row |= {
        "best": _mean(best),
        "best spread": float(best.std()),
        "new": _mean(best < 0.35),
        "exact": _mean(best > 0.99),
    }
    row["to primer"] = _mean([max((likeness(keys[i], keys[j]) for j in range(start)), default=0) for i in rows])
    row |= {f"best in four {part}": _mean(best[4 * part : 4 * part + 4]) for part in range(4)}
    row |= {f"place {place} of four": _mean(best[(np.arange(len(best)) + start) % 4 == place]) for place in range(4)}
    row["distinct"] = len({keys[i] for i in rows}) / len(rows)
    row["empty"] = _mean([not keys[i] for i in rows])
    row["first to last given"] = likeness(keys[start], keys[start - 1]) if start else 0.0
    runs = [_longest(table[:, place] >= 0.6) for place in range(len(LAGS))]
    row |= {f"run {lag}": float(run) for lag, run in zip(LAGS, runs, strict=True)}
    return row


def line_of(new: Sequence[Bar]) -> Row:
    """Rhythm, loudness and line of bars by themselves."""
    events = [event for bar in new for event in bar]
    counts = np.array([len(bar) for bar in new], float)
    row: Row = {"events a bar": counts.mean(), "spread of events": counts.std(), "most events": counts.max()}
    if not events:
        return row
    place, _, hit, loud, duration = np.array(events).T
    row |= {f"sixteenth {n}": _mean((place + 3) // 6 == n) for n in range(16)}
    row |= {"off the sixteenths": _mean(place % 6 != 0), "on triplets": _mean((place % 8 == 0) & (place % 6 != 0))}
    row |= {
        "loudness": loud.mean(),
        "spread of loudness": loud.std(),
        "steps of loudness": _mean(np.abs(np.diff(loud))),
    }
    onsets = np.unique(np.concatenate([np.array([e[0] for e in bar], int) + 96 * i for i, bar in enumerate(new)]))
    gaps = np.diff(onsets)
    row |= {f"gap {name}": _mean((gaps > a) & (gaps <= b)) for name, a, b in _GAPS}
    row["at once"] = len(events) / len(onsets)
    drums = hit >= DRUM_HIT
    row |= _drums(place[drums], hit[drums] - DRUM_HIT, loud[drums]) if drums.any() else _pitches(new, hit, duration)
    return row


_GAPS = (
    ("32nd", 0, 4),
    ("16th", 4, 7),
    ("8th", 7, 13),
    ("dotted 8th", 13, 18),
    ("quarter", 18, 25),
    ("long", 25, 10**6),
)
_KIT = {
    "kick": (35, 36),
    "snare": (38, 40),
    "rim": (37,),
    "hat": (42,),
    "open": (46,),
    "pedal": (44,),
    "ride": (51, 53, 59),
    "crash": (49, 52, 55, 57),
    "toms": (41, 43, 45, 47, 48, 50),
}


def _drums(place: NDArray[np.int64], drum: NDArray[np.int64], loud: NDArray[np.int64]) -> Row:
    row: Row = {}
    for name, numbers in _KIT.items():
        mine = np.isin(drum, numbers)
        row[f"{name}"] = _mean(mine)
        if mine.any():
            row |= {f"{name} loudness": loud[mine].mean(), f"{name} spread": loud[mine].std()}
            row[f"{name} on beats"] = _mean((place[mine] + 3) // 6 % 4 == 0)
            row[f"{name} on eighths"] = _mean((place[mine] + 3) // 6 % 4 == 2)
    return row


def _pitches(new: Sequence[Bar], hit: NDArray[np.int64], duration: NDArray[np.int64]) -> Row:
    steps = np.diff(hit)
    sizes = np.abs(steps)
    row: Row = {"range": float(hit.max() - hit.min()), "mean pitch": hit.mean(), "spread of pitch": hit.std()}
    row |= {f"interval {n}": _mean(sizes == n) for n in range(10)} | {
        "wide": _mean(sizes > 9),
        "rising": _mean(steps > 0),
    }
    moved = steps[steps != 0]
    row["turns"] = _mean(np.diff(np.sign(moved)) != 0) if len(moved) > 1 else 0.0
    row |= {"duration": duration.mean(), "spread of duration": duration.std(), "longest": float(duration.max())}
    row |= {f"length {n}": _mean(duration == n) for n in (6, 12, 18, 24, 36, 48)}
    classes = np.bincount(hit % 12, minlength=12) / len(hit)
    row |= {f"class {n}": float(v) for n, v in enumerate(np.sort(classes)[::-1])}
    row["classes"] = float((classes > 0).sum())
    lengths = [max((e[4] for e in bar), default=0) for bar in new]
    row |= {f"longest in {place} of four": _mean(lengths[place::4]) for place in range(4)}
    row["on strong beats"] = _mean([d >= GRID for d in duration])
    return row


def change_of(given: Sequence[Bar], new: Sequence[Bar]) -> Row:
    """Return how the new bars differ from the given ones."""
    before, after = line_of(given), line_of(new)
    names = ("events a bar", "loudness", "spread of loudness", "range", "mean pitch", "duration", "at once", "classes")
    return {f"change of {name}": after[name] - before[name] for name in names if name in before and name in after}


def _mean(values: "Sequence[float] | NDArray[np.bool_] | NDArray[np.float64]") -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _longest(held: NDArray[np.bool_]) -> int:
    best = run = 0
    for one in held.tolist():
        run = run + 1 if one else 0
        best = max(best, run)
    return best

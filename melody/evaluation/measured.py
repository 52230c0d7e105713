"""Pieces with what was measured of them: of each piece for distributions, of all together for a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from melody.evaluation.histograms import Histogram, histograms_of
from melody.evaluation.statistics import STATISTICS
from melody.music.originality import Index, distinct, mean_share
from melody.music.score import Score, most_at_once, notes_of
from melody.music.voice_leading import VoiceLeading, examine, report

Floats = NDArray[np.float64]

# as the table calls what voice leading counts
RATES = {
    "parallels": "parallels per 1,000 notes",
    "crossings": "crossings per 1,000 notes",
    "out_of_range": "out of range per 1,000 notes",
    "wide_spacing": "wide spacing per 1,000 notes",
    "doubled_leading_notes": "doubled leading notes per 1,000 notes",
}
SHARES = {"clean": "clean, share of pieces", "tonic_cadence": "tonic cadence, share of pieces"}
LINES = 0.9  # the share of pieces whose tracks are single lines from which counterpoint is counted


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores, measured when asked and once; `index` holds the training music."""

    scores: Sequence[Score]
    index: Index

    @cached_property
    def values(self) -> dict[str, Floats]:
        """Values of each score (N,) for each rate of voice leading and each statistic, by the table's names."""
        found = [examine(score) for score in self.scores]
        rates = {label: np.array([_rate(one, name) for one in found]) for name, label in RATES.items()}
        return rates | {name: np.array([f(s) for s in self.scores], float) for name, f in STATISTICS.items()}

    @cached_property
    def means(self) -> dict[str, float]:
        """Rates over the notes of all scores together, shares of the scores, means of statistics; NaN for none."""
        found = report(self.scores)
        rates = {label: found[name] for name, label in (RATES | SHARES).items()}
        return rates | {name: _mean(self.values[name]) for name in STATISTICS}

    @cached_property
    def distinct_ngrams(self) -> float:
        """The n-grams that all scores have together, each counted once, by the number of scores."""
        return distinct(self.scores) / max(1, len(self.scores))

    @cached_property
    def in_training(self) -> list[float]:
        """The mean in-training share of each voice."""
        return mean_share(self.scores, self.index)

    @cached_property
    def histograms(self) -> Mapping[str, Histogram]:
        """Histograms of the notes of each score, by name; see `melody.evaluation.histograms`."""
        return histograms_of(self.scores)

    @cached_property
    def voices(self) -> int:
        """The most pitched tracks that a score has, or 0 where tracks hold chords: they are not voices."""
        tracks = [[notes_of(t) for t in s.tracks if len(t.notes) and not t.is_drum] for s in self.scores]
        lines = [all(most_at_once(notes) == 1 for notes in one) for one in tracks]
        return max(map(len, tracks), default=0) if sum(lines) >= LINES * max(1, len(lines)) else 0


def _rate(found: VoiceLeading, name: str) -> float:
    return 1000 * getattr(found, name) / found.notes if found.notes else float("nan")


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")

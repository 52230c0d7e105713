"""Histograms of what scores consist of: pitches, lengths, intervals, places in the bar, drums.

Those of Yang & Lerch (2020; see `melody.evaluation.compare`), a row a score: the share of its notes in each bin.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melody.evaluation.statistics import top_line
from melody.music.general_midi import drum_name
from melody.music.key import FLAT_NAMES, estimate_key
from melody.music.score import GRID, Ints, Notes, Score, bars, notes_of, resample

Floats = NDArray[np.float64]

# ticks of the grid: thirty-second to whole note, with dots and triplets
LENGTHS = {3: "⅛", 6: "¼", 8: "⅓", 12: "½", 16: "⅔", 18: "¾", 24: "1", 36: "1½", 48: "2", 72: "3", 96: "4"}
DEGREES = ("1", "♭2", "2", "♭3", "3", "4", "♯4", "5", "♭6", "6", "♭7", "7")
WIDEST = 12  # semitones of an interval with a bin of its own
PLACES = 16  # sixteenths of a bar with bins of their own


@dataclass(frozen=True)
class Histogram:
    """Bins by name, and the share (scores, bins) of the notes of each score in each; rows without notes are NaN."""

    bins: tuple[str, ...]
    shares: Floats

    @property
    def mean(self) -> Floats:
        """The mean over the scores that have notes: (bins,)."""
        return self.known.mean(axis=0) if len(self.known) else np.zeros(len(self.bins))

    @property
    def known(self) -> Floats:
        """The rows of scores that have notes."""
        rows: Floats = self.shares[np.isfinite(self.shares).all(axis=1)]
        return rows


def histograms_of(scores: Sequence[Score]) -> Mapping[str, Histogram]:
    """Every histogram of scores by name; bins that no score fills are there too."""
    grids = [resample(score, GRID) for score in scores]
    found = {name: Histogram(bins, _rows(grids, len(bins), place)) for name, (bins, place) in _KINDS.items()}
    drums = tuple(drum_name(pitch) for pitch in range(128))
    return found | {"drums": Histogram(drums, _rows(grids, len(drums), lambda score: _pitches(score, drums=True)))}


def _rows(scores: Sequence[Score], bins: int, places: Callable[[Score], Ints]) -> Floats:
    return np.array([_shares(places(score), bins) for score in scores]).reshape(len(scores), bins)


def _shares(places: Ints, bins: int) -> Floats:
    return np.bincount(places, minlength=bins) / len(places) if len(places) else np.full(bins, np.nan)


def _tracks(score: Score, drums: bool) -> Iterator[Notes]:
    return (notes_of(track) for track in score.tracks if len(track.notes) and track.is_drum == drums)


def _pitches(score: Score, drums: bool = False) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *(notes.pitch for notes in _tracks(score, drums))])


def _degrees(score: Score) -> Ints:
    """Semitones above the tonic of the key that the notes suggest."""
    pitch = _pitches(score)
    return (pitch - estimate_key(score).tonic) % 12 if len(pitch) else pitch


def _lengths(score: Score) -> Ints:
    """The place among `LENGTHS`; after them for any other."""
    ticks = np.concatenate([np.zeros(0, np.int64), *(notes.duration for notes in _tracks(score, drums=False))])
    known = np.array(list(LENGTHS))
    place = np.searchsorted(known, ticks).clip(max=len(known) - 1)
    return np.where(known[place] == ticks, place, len(known))


def _intervals(score: Score) -> Ints:
    """Intervals from each note of a track to the next, of a chord from the highest. Outer bins hold wider ones."""
    steps = [np.diff(top_line(notes).pitch) for notes in _tracks(score, drums=False)]
    clipped = np.concatenate([np.zeros(0, np.int64), *steps]).clip(-WIDEST - 1, WIDEST + 1)
    return clipped + WIDEST + 1


def _places(score: Score) -> Ints:
    """The sixteenth of its bar at which each note begins, drums among them; later ones and others in the last bin."""
    onset = np.concatenate([np.zeros(0, np.int64), *(notes_of(track).onset for track in score.tracks)])
    lines = bars(score)
    within = onset - lines[np.searchsorted(lines, onset, side="right") - 1]
    sixteenth, rest = np.divmod(within, GRID // 4)
    return np.where((rest == 0) & (sixteenth < PLACES), sixteenth, PLACES)


_KINDS: Mapping[str, tuple[tuple[str, ...], Callable[[Score], Ints]]] = {
    "pitch classes": (tuple(n.replace("b", "♭") for n in FLAT_NAMES), lambda score: _pitches(score) % 12),
    "scale degrees": (DEGREES, _degrees),
    "note lengths": ((*LENGTHS.values(), "other"), _lengths),
    "intervals": (
        (f"<−{WIDEST}", *(f"{n:+d}".replace("-", "−") if n else "0" for n in range(-WIDEST, WIDEST + 1)), f">{WIDEST}"),
        _intervals,
    ),
    "places in the bar": ((*(str(n + 1) for n in range(PLACES)), "other"), _places),
}

"""Statistics: one score in, one number out.

Six are defined as by MusPy (Dong et al., MusPy: A Toolkit for Symbolic Music Generation, ISMIR 2020, arXiv:2008.01951)
and equal its numbers: pitch-class entropy, scale consistency (Mogren, C-RNN-GAN, 2016, arXiv:1611.09904), groove
consistency (Wu & Yang, The Jazz Transformer on the Front Line, ISMIR 2020, arXiv:2008.01307), polyphony, pitch range
and the empty-beat rate. Its conventions are kept, odd ones too: a beat is a quarter, a beat at whose first tick a note
ends is not empty, and a piece that ends on a bar line has one empty bar after it. Where MusPy knows one bar length for
all, our groove consistency compares the neighbours of equal length, so pickups and meter changes do no harm. Pitches
are those of tracks other than drums. A statistic that a score has not is NaN.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from melody.music.key import Key
from melody.music.score import Ints, Notes, Score, bars, end_tick, notes_of, resample

SIXTEENTHS = 4  # ticks a quarter on the grid of the groove
NAN = float("nan")


def pitch_class_entropy(score: Score) -> float:
    """Shannon entropy in bits of the pitch classes' shares of the notes; at most log2(12) = 3.58."""
    share = _pitch_class_shares(score)
    used = share[share > 0]
    return float(-(used * np.log2(used)).sum()) if len(used) else NAN


def scale_consistency(score: Score) -> float:
    """The largest share of notes that one major or natural minor scale holds (relative keys share theirs)."""
    share = _pitch_class_shares(score)
    return max(float(share[list(Key(tonic, "major").scale())].sum()) for tonic in range(12)) if share.any() else NAN


def groove_consistency(score: Score) -> float:
    """One minus the mean share of sixteenths at which a bar and the next differ in whether a note begins."""
    grid = resample(score, SIXTEENTHS)
    lines = bars(grid, end_tick(grid) + 1)
    length = np.diff(lines)
    same = length[1:] == length[:-1]
    if not same.any():
        return NAN
    onset = np.concatenate([notes.onset for notes in _notes(grid, drums=True)])
    bar = np.searchsorted(lines, onset, side="right") - 1
    pattern = np.zeros((len(length), int(length.max())), bool)  # (bars, sixteenths)
    pattern[bar, onset - lines[bar]] = True
    distance = (pattern[1:] != pattern[:-1]).sum(axis=1)
    return float(1 - (distance[same] / length[1:][same]).mean())


def polyphony(score: Score) -> float:
    """The mean number of pitches that sound together while any does."""
    notes = _together(_notes(score))
    sounding = _covered(notes.onset, notes.onset + notes.duration)
    if not sounding:
        return NAN
    length = int((notes.onset + notes.duration).max())
    apart = notes.onset + notes.pitch * (length + 1)  # each pitch on a stretch of its own
    return _covered(apart, apart + notes.duration) / sounding


def pitch_range(score: Score) -> float:
    """Semitones from the lowest to the highest pitch."""
    pitch = _together(_notes(score)).pitch
    return float(np.ptp(pitch)) if len(pitch) else NAN


def empty_beat_rate(score: Score) -> float:
    """The share of quarters in which nothing sounds."""
    notes = _together(_notes(score, drums=True))
    if not len(notes.onset):
        return NAN
    return float(1 - _touched(notes.onset // score.tpq, (notes.onset + notes.duration) // score.tpq).mean())


def note_density(score: Score) -> float:
    """Notes a bar, drums among them."""
    count = len(bars(score)) - 1
    return score.note_num() / count if count else NAN


def repetition(score: Score) -> float:
    """The share of bars with notes that equal an earlier bar: the same onsets, durations and pitches in each track."""
    contents = [content for content in _bar_contents(score) if content]
    return 1 - len(set(contents)) / len(contents) if contents else NAN


def longest_pitch_run(score: Score) -> float:
    """The most notes in a row that repeat one pitch, over all tracks but drums; of a chord the highest note counts."""
    runs = [_longest_run(np.diff(top_line(notes).pitch) == 0) + 1 for notes in _notes(score)]
    return float(max(runs, default=NAN))


def longest_empty_run(score: Score) -> float:
    """The most bars in a row in which nothing sounds."""
    lines = bars(score)
    empty = np.ones(len(lines) - 1, bool)
    notes = _together(_notes(score, drums=True))
    if len(notes.onset):
        first = np.searchsorted(lines, notes.onset, side="right") - 1
        last = np.searchsorted(lines, notes.onset + notes.duration - 1, side="right") - 1
        empty = ~_touched(first, last)[: len(empty)]
    return float(_longest_run(empty))


STATISTICS: Mapping[str, Callable[[Score], float]] = {
    "pitch-class entropy": pitch_class_entropy,
    "scale consistency": scale_consistency,
    "groove consistency": groove_consistency,
    "polyphony": polyphony,
    "pitch range": pitch_range,
    "empty-beat rate": empty_beat_rate,
    "notes a bar": note_density,
    "repeated bars": repetition,
    "longest pitch run": longest_pitch_run,
    "longest empty run": longest_empty_run,
}


def statistics(score: Score) -> dict[str, float]:
    """Every statistic of a score by name."""
    return {name: statistic(score) for name, statistic in STATISTICS.items()}


def _notes(score: Score, *, drums: bool = False) -> list[Notes]:
    """The notes of each track that has any, with or without drums."""
    return [notes_of(track) for track in score.tracks if len(track.notes) and (drums or not track.is_drum)]


def _together(tracks: list[Notes]) -> Notes:
    nothing = Notes(*[np.zeros(0, np.int64)] * 4)
    return Notes(*(np.concatenate(columns) for columns in zip(nothing, *tracks, strict=True)))


def _pitch_class_shares(score: Score) -> NDArray[np.float64]:
    """Each pitch class's share of the notes, shape (12,); zeros without notes."""
    pitch = _together(_notes(score)).pitch
    return np.bincount(pitch % 12, minlength=12) / max(1, len(pitch))


def _covered(start: Ints, end: Ints) -> int:
    """The length of the union of intervals."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    reach = np.maximum.accumulate(end)
    before = np.concatenate([start[:1], reach[:-1]])  # how far the earlier ones reach
    return int(np.maximum(0, end - np.maximum(start, before)).sum())


def _touched(first: Ints, last: Ints) -> NDArray[np.bool_]:
    """Mark the places up to the greatest that the ranges first..last (both included) touch."""
    steps = np.zeros(int(last.max()) + 2, np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, last + 1, -1)
    return np.cumsum(steps)[:-1] > 0


def _bar_contents(score: Score) -> list[bytes]:
    """List the notes that begin in each bar: rows of track, onset in the bar, duration, pitch; empty without notes."""
    lines = bars(score)
    rows = []
    for track, notes in enumerate(map(notes_of, score.tracks)):
        bar = np.searchsorted(lines, notes.onset, side="right") - 1
        rows.append(np.stack([bar, np.full_like(bar, track), notes.onset - lines[bar], notes.pitch, notes.duration]))
    table = np.concatenate(rows, axis=1) if rows else np.zeros((5, 0), np.int64)  # (5, notes)
    table = table[:, np.lexsort(table[::-1])]
    cuts = np.searchsorted(table[0], np.arange(1, len(lines) - 1))
    return [part.tobytes() for part in np.split(table[1:].T, cuts)]


def top_line(notes: Notes) -> Notes:
    """The notes of a track in order of onset, of those that begin together the highest alone."""
    notes = notes.take(np.lexsort((-notes.pitch, notes.onset)))
    return notes.take(np.diff(notes.onset, prepend=notes.onset[:1] - 1) != 0)


def _longest_run(flags: NDArray[np.bool_]) -> int:
    """The length of the longest run of true flags."""
    gaps = np.flatnonzero(~np.concatenate([[False], flags, [False]]))
    return int(np.diff(gaps).max()) - 1

"""The same piece twice, and versions of one tune: so that none stands on both sides of a split.

A fingerprint is equal for two scores with the same notes up to transposition. Versions of a tune share melodic
intervals: two pieces belong together when their sets of n-grams of intervals overlap by half of the smaller set
(overlap coefficient; 5-grams for chorales, 6-grams otherwise), and so does whatever is linked to them (union-find).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from melody.music.score import Ints, Notes, Score, notes_of

OVERLAP = 0.5
LEAST_SHARE = 0.1  # of a piece's notes that a track needs to be its melody
BLOCK, RUN = 1 << 18, 1 << 16  # n-grams in memory at once: of the pieces compared with, and of those compared
_WIDEST = 31  # semitones of an interval in an n-gram; wider ones count as this


def fingerprint(score: Score) -> str:
    """A hash of onsets, durations and pitches, whatever the order of tracks, velocities, tempo and transposition."""
    pitched = [notes_of(t) for t in score.tracks if len(t.notes) and not t.is_drum]
    drums = [notes_of(t) for t in score.tracks if len(t.notes) and t.is_drum]
    lowest = min((int(notes.pitch.min()) for notes in pitched), default=0)
    parts = sorted([b"p" + _bytes(n, lowest) for n in pitched] + [b"d" + _bytes(n, 0) for n in drums])
    return hashlib.sha256(b"|".join(parts)).hexdigest()


def _bytes(notes: Notes, lowest: int) -> bytes:
    rows = np.stack([notes.onset, notes.duration, notes.pitch - lowest])
    return rows[:, np.lexsort((notes.pitch, notes.onset))].tobytes()


def interval_grams(score: Score, n: int) -> Ints:
    """The distinct n-grams of melodic intervals of the piece's melody, each as one number, sorted."""
    intervals = np.clip(np.diff(_melody(score)), -_WIDEST, _WIDEST)
    if len(intervals) < n:
        return np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(intervals, n)  # (notes - n, n)
    windows = windows[windows.any(axis=1)]  # a repeated note is no tune
    return np.unique((windows + _WIDEST + 1) @ (2 * _WIDEST + 2) ** np.arange(n, dtype=np.int64))


def _melody(score: Score) -> Ints:
    """Pitches of the melody: in the highest track with a fair share of the notes, the top note at each onset."""
    tracks = [notes_of(t) for t in score.tracks if len(t.notes) and not t.is_drum]
    least = LEAST_SHARE * sum(len(notes.onset) for notes in tracks)
    tracks = [notes for notes in tracks if len(notes.onset) >= least]
    if not tracks:
        return np.zeros(0, np.int64)
    melody = max(tracks, key=lambda notes: float(np.median(notes.pitch)))
    order = np.lexsort((-melody.pitch, melody.onset))
    first = np.unique(melody.onset[order], return_index=True)[1]
    return melody.pitch[order][first]


def clusters(grams: Sequence[NDArray[np.int64]], overlap: float = OVERLAP) -> Ints:
    """A cluster number for each piece, shape (P,), counted from 0 in order of first appearance.

    Memory is bounded: pieces are compared with one block of pieces after the other, and asked for their n-grams anew.
    """
    sizes = np.array([len(own) for own in grams], np.int64)
    parent = list(range(len(sizes)))
    for first, last in _runs(sizes, BLOCK):
        block = np.concatenate([grams[piece] for piece in range(first, last)])
        order = np.argsort(block, kind="stable")
        block, holders = block[order], np.repeat(np.arange(first, last), sizes[first:last])[order]
        for piece, left, right in _sought(grams, sizes, first, block):
            others, counts = np.unique(holders[_joined(left, right)], return_counts=True)
            near = (others < piece) & (counts >= overlap * np.minimum(sizes[piece], sizes[others]))
            for other in others[near].tolist():
                parent[_root(parent, piece)] = _root(parent, other)
    roots = [_root(parent, piece) for piece in range(len(sizes))]
    number = {root: index for index, root in enumerate(dict.fromkeys(roots))}
    return np.array([number[root] for root in roots], np.int64)


def _runs(sizes: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Runs of pieces, from one to before another, that hold so many n-grams together at most, or are a single one."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield start, stop
        start = stop


def _sought(
    grams: Sequence[NDArray[np.int64]], sizes: Ints, first: int, block: Ints
) -> Iterator[tuple[int, Ints, Ints]]:
    """Each piece from `first` on, and from where to where each of its n-grams stands in a sorted block."""
    for start, stop in _runs(sizes[first:], RUN):
        pieces = range(first + start, first + stop)
        sought = np.concatenate([grams[piece] for piece in pieces])
        left, right = (np.searchsorted(block, sought, side=side) for side in ("left", "right"))
        edges = np.concatenate([[0], np.cumsum(sizes[pieces.start : pieces.stop])])
        for piece, own in zip(pieces, map(slice, edges, edges[1:]), strict=True):
            yield piece, left[own], right[own]


def _joined(starts: Ints, stops: Ints) -> Ints:
    """Return the numbers from each start to before its stop, one range after the other."""
    lengths = stops - starts
    shift = starts - (np.cumsum(lengths) - lengths)
    joined: Ints = np.repeat(shift, lengths) + np.arange(lengths.sum())
    return joined


def _root(parent: list[int], piece: int) -> int:
    while parent[piece] != piece:
        parent[piece] = parent[parent[piece]]
        piece = parent[piece]
    return piece


def draw_split(labels: Ints, seed: int, held_out: float = 0.05, fixed: Mapping[int, str] | None = None) -> list[str]:
    """Train, valid or test for each piece: whole clusters at random, `held_out` of the pieces each for valid and test.

    The largest cluster trains; where there are three clusters or more, none of the three splits is empty. Clusters in
    `fixed` are where they are, and count.
    """
    sizes = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    split_of = dict(fixed or {})
    order = [c for c in np.random.default_rng(seed).permutation(len(sizes)).tolist() if c != int(np.argmax(sizes))]
    quota = max(1, round(held_out * len(labels)))
    for split in ("valid", "test"):
        there = sum(int(sizes[cluster]) for cluster, home in split_of.items() if home == split)
        left = [cluster for cluster in order if cluster not in split_of]
        drawn = _fitting(left, sizes, quota - there, there == 0) if len(sizes) > 2 and left else []
        split_of |= dict.fromkeys(drawn, split)
    return [split_of.get(int(label), "train") for label in labels]


def _fitting(order: list[int], sizes: Ints, quota: int, at_least_one: bool) -> list[int]:
    """Clusters in this order that fit into the quota of pieces together; the smallest where none does and one must."""
    taken: list[int] = []
    total = 0
    for cluster in order:
        if total + sizes[cluster] <= quota:
            taken.append(cluster)
            total += int(sizes[cluster])
    return taken or ([min(order, key=lambda cluster: int(sizes[cluster]))] if at_least_one else [])

"""The same piece twice, and versions of one tune: so that none stands on both sides of a split.

A fingerprint is equal for two scores with the same notes up to transposition. Versions of a tune share melodic
intervals: two pieces belong together when their sets of n-grams of intervals overlap by half of the smaller set
(overlap coefficient; 5-grams for chorales, 6-grams otherwise), and so does whatever is linked to them (union-find).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.score import Ints, Notes, Score, notes_of

OVERLAP = 0.5
LEAST_SHARE = 0.1  # of a piece's notes that a track needs to be its melody
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
    """A cluster number for each piece, shape (P,), counted from 0 in order of first appearance."""
    parent = list(range(len(grams)))
    holders: defaultdict[int, list[int]] = defaultdict(list)  # n-gram -> pieces read so far
    for piece, own in enumerate(grams):
        shared = Counter(other for gram in own.tolist() for other in holders[gram])
        for other, count in shared.items():
            if count >= overlap * min(len(own), len(grams[other])):
                parent[_root(parent, piece)] = _root(parent, other)
        for gram in own.tolist():
            holders[gram].append(piece)
    roots = [_root(parent, piece) for piece in range(len(grams))]
    number = {root: index for index, root in enumerate(dict.fromkeys(roots))}
    return np.array([number[root] for root in roots], np.int64)


def _root(parent: list[int], piece: int) -> int:
    while parent[piece] != piece:
        parent[piece] = parent[parent[piece]]
        piece = parent[piece]
    return piece


def draw_split(labels: Ints, seed: int, held_out: float = 0.05) -> list[str]:
    """Train, valid or test for each piece: whole clusters at random, `held_out` of the pieces each for valid and test.

    The largest cluster trains; where there are three clusters or more, none of the three splits is empty.
    """
    sizes = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    order = [c for c in np.random.default_rng(seed).permutation(len(sizes)).tolist() if c != int(np.argmax(sizes))]
    quota = max(1, round(held_out * len(labels)))
    split_of: dict[int, str] = {}
    for split in ("valid", "test"):
        left = [cluster for cluster in order if cluster not in split_of]
        split_of |= dict.fromkeys(_fitting(left, sizes, quota) if len(sizes) > 2 else [], split)
    return [split_of.get(int(label), "train") for label in labels]


def _fitting(order: list[int], sizes: Ints, quota: int) -> list[int]:
    """Clusters in this order as long as they fit into the quota of pieces; the smallest where none does."""
    taken: list[int] = []
    for cluster in order:
        if sizes[[*taken, cluster]].sum() <= quota:
            taken.append(cluster)
    return taken or [min(order, key=lambda cluster: int(sizes[cluster]))]

"""The notes of a keyboard given to two hands, by dynamic programming over its chords."""

from collections.abc import Sequence

import numpy as np

from melody.music.score import Ints

REACH = 14  # semitones a hand spans with ease
DRIFT = 0.15  # what it costs to move the split by a semitone


def in_left_hand(onset: Sequence[int] | Ints, pitch: Sequence[int] | Ints) -> np.ndarray:
    """Return which notes (N,) the left hand plays: at each onset a split of the chord, near the one before."""
    onset, pitch = np.asarray(onset), np.asarray(pitch)
    order = np.lexsort((pitch, onset))
    chords = np.split(order, np.flatnonzero(np.diff(onset[order])) + 1) if len(order) else []
    result = np.zeros(len(order), bool)
    for chord, low in zip(chords, _best_splits([pitch[chord].tolist() for chord in chords]), strict=True):
        result[chord[:low]] = True
    return result


def _best_splits(chords: Sequence[Sequence[int]]) -> list[int]:
    """Return the number of notes that the left hand plays of each chord (Viterbi)."""
    costs: list[float] = [0.0]
    heights = [60.0]
    back: list[list[int]] = []
    for chord in chords:
        now = [_height(chord, low) for low in range(len(chord) + 1)]
        table = [[c + DRIFT * abs(h - height) for c, h in zip(costs, heights, strict=True)] for height in now]
        back.append([int(np.argmin(row)) for row in table])
        costs = [min(row) + _strain(chord, low) for low, row in enumerate(table)]
        heights = now
    best = int(np.argmin(costs))
    result: list[int] = []
    for row in reversed(back):
        result.append(best)
        best = row[best]
    return result[::-1]


def _height(chord: Sequence[int], low: int) -> float:
    """Return the pitch that divides the hands."""
    if low == 0:
        return min(60.0, chord[0] - 1.0)
    if low == len(chord):
        return max(60.0, chord[-1] + 1.0)
    return (chord[low - 1] + chord[low]) / 2


def _strain(chord: Sequence[int], low: int) -> float:
    """Return the cost of a split: hands too wide, notes far on the wrong staff, fingers between each other."""
    left, right = chord[:low], chord[low:]
    cost = 0.1 * abs(_height(chord, low) - 60)
    for hand in (left, right):
        cost += max(0, hand[-1] - hand[0] - REACH) if hand else 0
    cost += sum(0.3 * max(0, pitch - 62) for pitch in left) + sum(0.3 * max(0, 57 - pitch) for pitch in right)
    return cost + (0.4 * max(0, 5 - (right[0] - left[-1])) if left and right else 0)

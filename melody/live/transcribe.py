"""Transcription of what a player does: notes on the grid of 24 ticks a quarter, and scores of them.

Onsets of a quarter go to sixteenths, or to triplets where these fit its onsets clearly better; ends go to the nearest
of both. So a straight run, a triplet and swung quavers are heard as they were meant; 32nds and ornaments are heard as
the sixteenths beside them. Lengths are those of keys, not of the pedal.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from symusic import Tempo, TimeSignature, Track

from melody.music.general_midi import DRUM_CHANNEL
from melody.music.score import GRID, TICKS_PER_QUARTER, Ints, Notes, Score, set_notes, without_overlaps

SIXTEENTH, TRIPLET = GRID // 4, GRID // 3
ENDS = np.array([0, 6, 8, 12, 16, 18, 24])  # in a quarter
MOST_HEARD = 2000  # notes that are kept at once; two hands play some 30 a second
CLEARLY = 0.5  # a triplet's squared error over that of sixteenths
SCALE = TICKS_PER_QUARTER // GRID

Floats = NDArray[np.float64]


class HeardNote(NamedTuple):
    """A note on the grid, of a channel (from 0)."""

    channel: int
    onset: int
    duration: int
    pitch: int
    velocity: int


class Ear:
    """Note messages as they come, each at its tick (480 a quarter, with fractions).

    It keeps up to `MOST_HEARD` notes; `forget` makes room.
    """

    def __init__(self) -> None:
        self._heard: list[list[Any]] = []  # channel, onset, end or None, pitch, velocity
        self._held: dict[tuple[int, int], list[Any]] = {}
        self.is_full = False  # so that notes were passed over

    def hear(self, message: Any, tick: float) -> bool:
        """Take a message; whether a note begins with it."""
        if message.type not in ("note_on", "note_off"):
            return False
        key = (message.channel, message.note)
        if (held := self._held.pop(key, None)) is not None:
            held[2] = tick
        if message.type == "note_off" or message.velocity == 0:
            return False
        if len(self._heard) >= MOST_HEARD:
            self.is_full = True
            return False
        self._held[key] = [message.channel, tick, None, message.note, message.velocity]
        self._heard.append(self._held[key])
        return True

    def forget(self, before: float) -> None:
        """Forget what began before a tick."""
        self._heard = [note for note in self._heard if note[1] >= before]
        self.is_full = False

    def tones(self, first: int, stop: int) -> list[HeardNote]:
        """Return the notes that begin, on the grid, from one tick up to but not including another; they end by then.

        A key that is still held is heard to the end.
        """
        near = [note for note in self._heard if first - TICKS_PER_QUARTER <= note[1] < stop]
        if not near:
            return []
        first, stop = first // SCALE, stop // SCALE
        onsets = quantized_onsets(np.array([note[1] for note in near]) / SCALE)
        ends = quantized_ends(np.array([stop if note[2] is None else note[2] / SCALE for note in near]), onsets)
        return [
            HeardNote(note[0], onset, min(end, stop) - onset, note[3], note[4])
            for note, onset, end in zip(near, onsets.tolist(), ends.tolist(), strict=True)
            if first <= onset < stop
        ]


def quantized_onsets(onsets: Floats) -> Ints:
    """Ticks of the grid, with fractions, on sixteenths or triplets: of each quarter, what fits all its onsets."""
    quarters = np.floor((onsets + SIXTEENTH / 2) / GRID)  # what comes just before a beat is meant for it
    result = np.zeros(len(onsets), np.int64)
    for quarter in set(quarters.tolist()):
        here = quarters == quarter
        straight, triplet = (np.round(onsets[here] / step) * step for step in (SIXTEENTH, TRIPLET))
        errors = [float(((onsets[here] - grid) ** 2).sum()) for grid in (straight, triplet)]
        result[here] = triplet if errors[1] < CLEARLY * errors[0] else straight
    return result


def quantized_ends(ends: Floats, onsets: Ints) -> Ints:
    """Ticks of the grid, with fractions, on the nearest sixteenth or triplet at least a sixteenth after the onset."""
    quarters = np.floor(ends / GRID)
    nearest = np.abs((ends - quarters * GRID)[:, None] - ENDS[None]).argmin(axis=1)
    result: Ints = np.maximum(quarters.astype(np.int64) * GRID + ENDS[nearest], onsets + SIXTEENTH)
    return result


def score_of(tones: Iterable[HeardNote], start: int, meter: tuple[int, int], qpm: float) -> tuple[Score, list[int]]:
    """A score (24 a quarter) that begins at tick `start` of the grid, with a track a channel; and their channels."""
    tones = list(tones)
    used = sorted({tone.channel for tone in tones})
    score = Score(GRID)
    score.time_signatures, score.tempos = [TimeSignature(0, *meter)], [Tempo(0, qpm=qpm)]
    for channel in used:
        rows = np.array([tone[1:] for tone in tones if tone.channel == channel], np.int64)
        track = Track("", 0, channel == DRUM_CHANNEL)
        set_notes(track, without_overlaps(Notes(rows[:, 0] - start, *rows.T[1:])))
        score.tracks.append(track)
    return score, used

"""Excerpts: the next seconds of a score as one sound, for a page that plays while the stems are still rendered.

Stems cost as many runs of the synthesizer as there are tracks, through the whole score. An excerpt is one run through a
few bars: it begins a bar early, so that what rings on is heard, and that bar is cut off again.
"""

import threading
from dataclasses import dataclass

import numpy as np

from melody.errors import UsageError
from melody.music.score import Score, bars, clip, note_count
from melody.render.sound import TAIL_SECONDS, Samples, encode, seconds_at, unlevelled
from melody.render.stems import FULLEST, SAMPLE_RATE
from melody.studio.bounds import Bounds
from melody.studio.errors import Busy
from melody.studio.sounds import level_of

SECONDS = 8.0  # of an excerpt, and on to the next bar line
LONGEST = 60.0  # where a bar is very long, it is cut here


@dataclass(frozen=True)
class SoundExcerpt:
    """The sound from a second on: a FLAC that rings on beyond its `seconds`, and the gain at which it is played."""

    data: bytes
    seconds: float
    gain: float


class Excerpts:
    """A few excerpts at once, none of them kept."""

    def __init__(self, bounds: Bounds) -> None:
        self._room = threading.BoundedSemaphore(bounds.excerpts)

    def of(self, score: Score, start: float, stop: float | None = None, tracks: set[int] | None = None) -> SoundExcerpt:
        """Return the excerpt from second `start` on, up to `stop` at the latest. Raises `MelodyError`."""
        if not self._room.acquire(blocking=False):
            raise Busy("other excerpts are rendered; try again in a moment")
        try:
            return _rendered(score, start, stop, tracks)
        finally:
            self._room.release()


def numbers_of(text: str) -> set[int]:
    """Return the numbers in 0,2,5. Raises `UsageError`."""
    parts = [part for part in text.split(",") if part]
    if not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
        raise UsageError(f"`tracks` {text[:40]}: give numbers from 0, as 0,2")
    return set(map(int, parts))


def _rendered(score: Score, start: float, stop: float | None, tracks: set[int] | None) -> SoundExcerpt:
    lines = [seconds_at(score, int(line)) for line in bars(score)]
    if not 0 <= start < lines[-1]:
        raise UsageError(f"`start` {start:g}: the score lasts {lines[-1]:.1f} s")
    first = int(np.searchsorted(lines, start, side="right")) - 1
    until = min(start + SECONDS, stop if stop is not None and stop > start else lines[-1])
    last = max(first + 1, min(int(np.searchsorted(lines, until - 1e-3)), len(lines) - 1))
    seconds = min(lines[last] - start, LONGEST)
    lead = max(0, first - 1)
    part = clip(score, lead, last)
    for number, track in enumerate(part.tracks):
        if tracks is not None and number not in tracks:
            track.notes = []
    return _excerpt(part, start - lines[lead], seconds)


def _excerpt(part: Score, skipped: float, seconds: float) -> SoundExcerpt:
    """Render bars and leave out the seconds before those that are wanted."""
    frames = round((seconds + TAIL_SECONDS) * SAMPLE_RATE)
    samples: Samples = np.zeros((frames, 2), np.float32)
    if note_count(part):
        (raw,) = unlevelled([part], None, SAMPLE_RATE)
        heard = raw[round(skipped * SAMPLE_RATE) :][:frames]
        samples[: len(heard)] = heard
    peak = float(np.abs(samples).max(initial=0.0)) or FULLEST
    data = encode(samples * np.float32(FULLEST / peak), SAMPLE_RATE, "FLAC")
    return SoundExcerpt(data, seconds, level_of(samples) * peak / FULLEST)

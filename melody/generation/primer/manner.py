"""Manner of a primer: how far off the grid its notes were played, and the habits that this shows."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.generation.primer.primer_view import SCALE, Primer
from melody.generation.settings import Settings
from melody.music.feel import CELL, HAND, MOST, VOICES, Habits, Hit, voice_of
from melody.music.score import GRID, TICKS_PER_QUARTER, notes_of, rescale

PLAYED = 0.1  # ticks of the grid: mean deviation from which on a primer counts as played
STEADY = 0.5  # ticks around its habits: less is a machine's, and new notes stay as close
MOST_HEARD = 4096  # hits of a primer


class Manner:
    """Hits of a primer, in order, and how far off the grid each was played."""

    def __init__(self, primer: Primer) -> None:
        tracks = zip(primer.score.tracks, primer.view.written.tracks, strict=True)
        self._lines = primer.view.lines
        self._tracks = [(bool(track.is_drum), notes_of(track), notes_of(written).onset) for track, written in tracks]

    @cached_property
    def _rows(self) -> list[tuple[Hit, float]]:
        """The hits, each with its deviation."""
        lines, rows = self._lines, []
        for number, (is_drum, notes, meant) in enumerate(self._tracks):
            onset = rescale(meant, TICKS_PER_QUARTER, GRID)
            place = onset - lines[np.maximum(np.searchsorted(lines, onset, side="right") - 1, 0)]
            deviation = np.clip((notes.onset - meant) / SCALE, -MOST, MOST)
            columns = (onset, place, notes.pitch, notes.velocity, deviation)
            rows += [
                (Hit(at, within, *voice_and_part(number, pitch, is_drum), velocity), by)
                for at, within, pitch, velocity, by in zip(*(column.tolist() for column in columns), strict=True)
            ]
        return sorted(rows, key=lambda row: row[0][:4])[-MOST_HEARD:]

    @cached_property
    def hits(self) -> list[Hit]:
        """The hits, in order."""
        return [hit for hit, _ in self._rows]

    @cached_property
    def deviations(self) -> NDArray[np.float64]:
        """The deviation of each hit, in ticks of the grid."""
        return np.array([by for _, by in self._rows])

    @property
    def is_played(self) -> bool:
        """True where the notes were off the grid."""
        if all(np.array_equal(notes.onset, meant) for _, notes, meant in self._tracks):
            return False  # nobody needs to look at the hits
        return len(self.hits) > 0 and float(np.abs(self.deviations).mean()) >= PLAYED

    @cached_property
    def habits(self) -> Habits:
        """Habits of its player."""
        return Habits.of(self.hits, self.deviations)

    @cached_property
    def looseness(self) -> float:
        """The share of a player's freedom around its habits that this one takes, up to 1."""
        around = self.deviations - [self.habits.at(hit)[CELL] for hit in self.hits]
        return min(1.0, float(around.std()) / STEADY)


def settled(settings: Settings, primer: Primer | None, bundle: Bundle) -> Settings:
    """The settings with the feel that was left open: a primer that was played goes on so, drums are played."""
    if settings.humanize is not None:
        return settings
    played = Manner(primer).is_played if primer else bundle.feel is not None
    return replace(settings, humanize=float(played))


def voice_and_part(track: int, pitch: int, is_drum: bool) -> tuple[int, int]:
    """Return the voice of a note, and whose habits it has: a drum's, or those of a track."""
    if is_drum:
        return voice_of(pitch), voice_of(pitch)
    return HAND, VOICES + track

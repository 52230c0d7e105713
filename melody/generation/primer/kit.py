"""A drummer's kit that lies on several tracks: read as one, and each new hit goes back to the track of its drum.

Drum machines and notation programs write a track for each drum. A model that knows one kit hears them together, on the
track with most hits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melody.bundle import TrackInfo
from melody.music.drumkit import FOLD
from melody.music.score import Notes, Score, notes_of, set_notes


@dataclass(frozen=True)
class Kit:
    """The tracks of a kit, and which of them has each drum."""

    tracks: tuple[int, ...]
    main: int  # the track with most hits
    homes: dict[int, int]  # of each drum, by its first sound

    def track_of(self, pitch: int) -> int:
        """Return the track of a hit: the one with most hits of its drum, or else the main one."""
        return self.homes.get(FOLD.get(pitch, pitch), self.main)


def kit_for(score: Score, wanted: Sequence[TrackInfo]) -> Kit | None:
    """The kit of a score as `kit_of` has it, for a model with one track of drums; else None."""
    return kit_of(score) if sum(info.drums for info in wanted) == 1 else None


def kit_of(score: Score) -> Kit | None:
    """The kit of a score with several tracks of drums; else None."""
    hits = {i: notes_of(t).pitch.tolist() for i, t in enumerate(score.tracks) if t.is_drum and len(t.notes)}
    if len(hits) < 2:
        return None
    counts = Counter((FOLD.get(pitch, pitch), track) for track, pitches in hits.items() for pitch in pitches)
    homes: dict[int, int] = {}
    for (drum, track), _ in counts.most_common():
        homes.setdefault(drum, track)
    return Kit(tuple(hits), max(hits, key=lambda track: len(hits[track])), homes)


def as_one_track(score: Score, kit: Kit | None) -> Score:
    """A copy with all hits on the main track of the kit, or the score itself where there is no kit."""
    if kit is None:
        return score
    result = score.copy()
    parts = [notes_of(score.tracks[track]) for track in kit.tracks]
    for track in kit.tracks:
        set_notes(result.tracks[track], parts[0].take(np.zeros(0, np.int64)))
    set_notes(result.tracks[kit.main], Notes(*map(np.concatenate, zip(*parts, strict=True))))
    return result

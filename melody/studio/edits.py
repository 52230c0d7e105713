"""Changes by hand: notes added, removed, moved and made louder; what a hand wrote stays when bars are composed anew.

An edit is a list of notes to remove and of notes to add, in ticks of the score. A note that a hand wrote is kept beside
the score; where a take has composed over it, it comes back, and what the take has in its way goes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from symusic import Note, Track

from melody.errors import LimitExceeded, UsageError
from melody.formats.midi import Reading
from melody.music.score import MAX_TICK, Score, rescale
from melody.storage.display import shown
from melody.studio.shelf import HandNote

MOST_BY_HAND = 5000  # notes
MOST_TRACKS = 64
TRACK_LETTERS = 60


class NewTrack(NamedTuple):
    """A track that is added, for what is played or drawn: its name, General MIDI program and kind."""

    name: str
    program: int = 0
    drums: bool = False


def edited(
    reading: Reading,
    remove: Sequence[tuple[int, int, int]],  # track, onset, pitch
    add: Sequence[HandNote],
    new_tracks: Sequence[NewTrack] = (),
    hand: Sequence[HandNote] = (),
) -> tuple[Score, list[HandNote]]:
    """Return a score with notes removed and added, and all notes that a hand wrote in it. Raises `UsageError`."""
    score = reading.score.copy()
    if len(score.tracks) + len(new_tracks) > MOST_TRACKS:
        raise LimitExceeded(f"up to {MOST_TRACKS} tracks; add notes to one that is there")
    for new in new_tracks:
        score.tracks.append(Track(shown(new.name, TRACK_LETTERS), new.program, new.drums))
    for note in add:
        _check(note, len(score.tracks))
    gone = set(remove)
    kept = [note for note in hand if (note[0], note[1], note[3]) not in gone]
    for number, track in enumerate(score.tracks):
        mine = [note for note in add if note[0] == number]
        places = {(onset, pitch) for index, onset, pitch in gone if index == number}
        if mine or places:
            left = [note for note in track.notes if (note.time, note.pitch) not in places]
            track.notes = sorted([*left, *(Note(*note[1:]) for note in mine)], key=lambda n: (n.time, n.pitch))
    by_hand = list(dict.fromkeys([*kept, *add]))
    if len(by_hand) > MOST_BY_HAND:
        raise LimitExceeded(f"more than {MOST_BY_HAND:,} notes by hand; send them as a file")
    return score, without_empty(score, by_hand)


def _check(note: HandNote, tracks: int) -> None:
    track, onset, duration, pitch, velocity = note
    if not (0 <= track < tracks and 0 <= pitch <= 127 and 1 <= velocity <= 127):
        raise UsageError(f"note {list(note)}: give track, onset, duration, pitch (0-127) and velocity (1-127)")
    if not (0 <= onset <= MAX_TICK // 16 and 1 <= duration <= MAX_TICK // 16):
        raise UsageError(f"note {list(note)}: its ticks lie outside of a score")


def without_empty(score: Score, hand: Sequence[HandNote]) -> list[HandNote]:
    """Notes by hand with tracks numbered as they are when the file is read: those without a note do not count."""
    sounding = [index for index, track in enumerate(score.tracks) if len(track.notes)]
    return [(sounding.index(note[0]), *note[1:]) for note in hand if note[0] in sounding]


def with_hand(score: Score, tpq: int, hand: Sequence[HandNote], first: int, stop: int | None) -> Score:
    """Return a take's score in which notes by hand (at `tpq`) within ticks `first` to `stop` of the score stand again.

    What sounds of a track at the same time at the same pitch, or at all where the hand wrote a line, gives way.
    """
    moved = [(n[0], rescale(n[1], tpq, score.tpq), max(1, rescale(n[2], tpq, score.tpq)), n[3], n[4]) for n in hand]
    inside = [n for n in moved if n[1] >= first and (stop is None or n[1] < stop) and n[0] < len(score.tracks)]
    if not inside:
        return score
    result = score.copy()
    for number, track in enumerate(result.tracks):
        mine = [note for note in inside if note[0] == number]
        if mine:
            track.notes = [n for n in track.notes if not _in_the_way(n, mine, track.is_drum)]
            track.notes = sorted([*track.notes, *(Note(*n[1:]) for n in mine)], key=lambda n: (n.time, n.pitch))
    return result


def _in_the_way(note: Note, hand: Sequence[HandNote], drums: bool) -> bool:
    onsets, ends = np.array([n[1] for n in hand]), np.array([n[1] + n[2] for n in hand])
    over = (onsets < note.time + note.duration) & (ends > note.time)
    if drums:
        over = (onsets == note.time) & np.array([n[3] == note.pitch for n in hand])
    return bool(over.any())

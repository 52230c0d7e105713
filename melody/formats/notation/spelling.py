"""Spelling of pitches, by the key in force, the notes that sound with them, and the way that their line takes.

A spelling is a place on the line of fifths: ... Bb = -2, F = -1, C = 0, G = 1 ... F# = 6. A scale has its own: in minor
with the sixths and sevenths of both directions and the Picardy third, so E minor has D#. What remains is spelled as the
sharper or the flatter of its two names, whichever costs less: far from the key (one a fifth), far from the notes that
sound (their mean distance), and against the line, where a raised note goes up a semitone and a lowered one down.
Source: the line of fifths of Temperley, The Cognition of Basic Musical Structures (2001), ch. 5; the weights are ours.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from melody.music.key import Key, estimate_key
from melody.music.score import GRID, Ints, Notes, Score, notes_of

LETTERS = "FCGDAEB"
STEPS = "CDEFGAB"
SCALE = {"major": range(-1, 6), "minor": range(-4, 6)}  # fifths from the tonic that are never in doubt
CENTRE = {"major": 1.0, "minor": 0.5}
AGAINST_THE_LINE = 7.0
AGAINST_THE_LINE_FOURTH = 1.0  # a raised fourth stays one on its way down
SHARPEST = 19  # Bx


class Spelled(NamedTuple):
    """A written pitch: letter, semitones by which it is altered, and octave (C4 = 60)."""

    step: str
    alter: int
    octave: int

    @property
    def place(self) -> int:
        """Return its place on the staff: steps above C0."""
        return 7 * self.octave + STEPS.index(self.step)


def spelled(pitch: int, fifths: int) -> Spelled:
    """Return a pitch, spelled as a place on the line of fifths."""
    alter = (fifths + 1) // 7
    return Spelled(LETTERS[(fifths + 1) % 7], alter, (pitch - alter) // 12 - 1)


class Tonality(NamedTuple):
    """The key in force from a tick on, its signature as the score has it (sharps) and its mode."""

    tick: int
    sharps: int
    mode: str
    is_written: bool = True

    @property
    def tonic(self) -> int:
        """Return its tonic on the line of fifths."""
        return self.sharps + 3 * (self.mode == "minor")


def tonalities(score: Score) -> list[Tonality]:
    """Return the keys of a score; the one that the notes suggest where it names none before its first note's end."""
    keys = [Tonality(k.time, k.key, "minor" if k.tonality else "major") for k in score.key_signatures]
    if not keys or keys[0].tick > 0:
        guess: Key = estimate_key(score)
        keys.insert(0, Tonality(0, guess.signature, guess.mode, is_written=False))
    return keys


def spell(score: Score) -> list[Ints]:
    """Return the places on the line of fifths of the notes of each track; zeros for drums."""
    keys = tonalities(score)
    starts = [key.tick for key in keys]
    pitched = [notes_of(track) for track in score.tracks if not track.is_drum]
    around = _Surroundings(pitched)
    result = []
    for track in score.tracks:
        notes = notes_of(track)
        places = np.zeros(len(notes.onset), np.int64)
        if not track.is_drum:
            by_note = [keys[bisect_right(starts, onset) - 1] for onset in notes.onset.tolist()]
            _spell_track(notes, by_note, around, places)
        result.append(places)
    return result


def _spell_track(notes: Notes, keys: Sequence[Tonality], around: "_Surroundings", places: Ints) -> None:
    onsets, pitches = notes.onset.tolist(), notes.pitch.tolist()
    ends = (notes.onset + notes.duration).tolist()
    for index, (key, pitch) in enumerate(zip(keys, pitches, strict=True)):
        sharp, flat = candidates(pitch, key)
        if sharp == flat:
            places[index] = sharp if key.is_written else plain(sharp)
            continue
        others = [fixed(other, key) for other in around.pitches(onsets[index], ends[index])]
        move = _move(index, onsets, pitches)
        goal = fixed(pitch + move, key) if move else None
        costs = {name: _cost(name, key, [o for o in others if o is not None], move, goal) for name in (sharp, flat)}
        best = min(costs, key=lambda name: (costs[name], name))
        places[index] = best if key.is_written else plain(best)


def plain(place: int) -> int:
    """Return the same pitch as one of 17 names from Gb to A#: without a signature no others are to be read."""
    return place - 12 if place > 10 else place + 12 if place < -6 else place


def candidates(pitch: int, key: Tonality) -> tuple[int, int]:
    """Return the sharper and the flatter name of a pitch; the same where the key leaves no doubt."""
    sure = fixed(pitch, key)
    if sure is not None:
        return sure, sure
    sharp = key.tonic + 6 + (7 * pitch - key.tonic - 6) % 12  # 6..17 fifths above the tonic
    return (sharp if sharp <= SHARPEST else sharp - 12), sharp - 12


def fixed(pitch: int, key: Tonality) -> int | None:
    """Return the only name of a pitch in a key; None for those that have two."""
    scale = SCALE[key.mode]
    place = key.tonic + scale[0] + (7 * pitch - key.tonic - scale[0]) % 12
    return place if place <= key.tonic + scale[-1] else None


def _move(index: int, onsets: Sequence[int], pitches: Sequence[int]) -> int:
    """Return the semitones to the next note of the line: -1, 1, or 0 where it goes on otherwise."""
    here = onsets[index]
    after = next((i for i in range(index, len(onsets)) if onsets[i] > here), None)
    if after is None or onsets[after] - here > 4 * GRID:
        return 0
    chord = [
        p
        for onset, p in zip(onsets[after : after + 8], pitches[after : after + 8], strict=True)
        if onset == onsets[after]
    ]
    moves = [pitch - pitches[index] for pitch in chord]
    return next((move for move in (1, -1) if move in moves and 0 not in moves), 0)


def _cost(name: int, key: Tonality, others: Sequence[int], move: int, goal: int | None) -> float:
    """Return the cost of a name. A minor second lies five fifths away: a raised note's goal is 5 below its place."""
    cost = abs(name - key.tonic - CENTRE[key.mode])
    if others:
        cost += sum(abs(name - other) for other in others) / len(others)
    if goal is not None and goal - name != -5 * move:
        cost += AGAINST_THE_LINE_FOURTH if (name - key.tonic) % 12 == 6 and move < 0 else AGAINST_THE_LINE
    return cost


class _Surroundings:
    """All pitched notes, by time: those that sound while a note does, or within an eighth of its beginning."""

    def __init__(self, tracks: Sequence[Notes]) -> None:
        rows = sorted(
            (onset, onset + duration, pitch)
            for notes in tracks
            for onset, duration, pitch in zip(
                notes.onset.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True
            )
        )
        self.rows = rows
        self.onsets = [row[0] for row in rows]
        self.longest = max((row[1] - row[0] for row in rows), default=0)

    def pitches(self, onset: int, end: int) -> list[int]:
        """Return the pitches that sound between; notes are looked for over at most a bar back."""
        end = max(end, onset + GRID // 2)
        first = bisect_right(self.onsets, onset - min(self.longest, 8 * GRID))
        last = bisect_right(self.onsets, end - 1)
        return [pitch for start, stop, pitch in self.rows[first:last] if stop > onset]

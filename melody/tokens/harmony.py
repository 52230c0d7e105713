"""The harmony of a piece as a plan: the chord of each step, its bass, and where phrases end.

    step      0     1     2     3   | 4     5           a beat, or half a bar: chosen for each style
    chord     C     F     Dm7   G     C     C
    bass      C     F     F     B     C     C
    phrase                            end---            the tune holds a note of two quarters or more

Chords are as `melody.music.heard_chords` hears them in all tracks together, so every track is told the same. A model is
told six channels beside each token: this chord and its bass, the next other ones and how long until then, and how long
until the phrase ends. Composing draws them (`melody.tokens.harmonist`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from melody.music.chords import VALUES
from melody.music.heard_chords import heard
from melody.music.score import GRID, Ints, Notes, Score, bars, meters, most_at_once, notes_of

Rate = Literal["beats", "halves"]  # steps of a plan
RATES: tuple[Rate, ...] = get_args(Rate)
LONG = 2 * GRID  # ticks of a phrase's last note, at least
WAITS = (6, 12, 18, 24, 36, 48, 72, 96, 144, 192, 288, 384)  # ticks: upper bounds of what a wait tells apart
FAR = 2 + len(WAITS)
SOUNDS = 1  # of the channel phrase_end: the last note sounds
SIZES: dict[str, int] = {  # of the channels in their order
    "harmony": VALUES,
    "harmony_bass": 1 + 12,
    "next_harmony": VALUES,
    "next_harmony_bass": 1 + 12,
    "harmony_wait": 2 + len(WAITS),  # until then
    "phrase_end": 1 + FAR,  # until the last note of the phrase; 1: it sounds
}
Steps = NDArray[np.int16]  # (S, 2): `Chord.value` and 1 + pitch class of the bass; 0 and 0 for none
Told = NDArray[np.int16]  # (ticks, 6): the channels at each tick


class Moment(NamedTuple):
    """Place of a reader that is to be told chords from here on, now that it knows key and meter."""

    bar: int  # index
    bar_start: int  # tick
    bar_ticks: int  # its length
    meter: int  # its place in `METERS`
    key: int  # as the channel "key" has it
    stop: int  # the bar before which the chords end


DrawChords = Callable[[Moment], Told]


@dataclass(frozen=True)
class HarmonyPlan:
    """Chords between `edges` (ticks, S + 1), of which those from step `first` on are told, and the ends of phrases."""

    edges: Ints
    steps: Steps
    ends: tuple[tuple[int, int], ...] = ()  # the first tick of each last note, and the one after it
    first: int = 0
    lines: tuple[int, ...] = ()  # ticks of its bar lines, up to the last; of a drawn plan

    def table(self) -> Told:
        """The channels (ticks, 6) of each tick up to the last edge; past it nothing is told."""
        ticks = np.arange(int(self.edges[-1]) + 1)
        step = np.searchsorted(self.edges, ticks, side="right") - 1
        inside = (step >= self.first) & (step < len(self.steps))
        table = np.zeros((len(ticks), len(SIZES)), np.int16)
        at = step[inside]
        if len(at):
            following = _next_changes(self.steps)[at]
            more = following < len(self.steps)
            after = np.concatenate([self.steps, np.zeros((1, 2), np.int16)])[following]
            wait = self.edges[following] - ticks[inside]
            table[inside, :2] = self.steps[at]
            table[inside, 2:4] = after
            table[inside, 4] = np.where(more, 1 + np.searchsorted(WAITS, wait), 0)
            table[inside, 5] = _until_phrase_ends(self.ends, ticks[inside])
        return table


def _next_changes(steps: Steps) -> Ints:
    """The step (S,) at which the chord or bass of each step has changed; S where it stays to the end."""
    changed = np.flatnonzero((np.diff(steps, axis=0) != 0).any(axis=1)) + 1
    changes = np.append(changed, len(steps))
    return changes[np.searchsorted(changes, np.arange(len(steps)), side="right")]


def _until_phrase_ends(ends: Sequence[tuple[int, int]], ticks: Ints) -> Ints:
    """The channel "phrase_end" (T,)."""
    if not ends:
        return np.full(len(ticks), FAR)
    starts, stops = np.array(ends).T
    place = np.searchsorted(stops, ticks, side="right")  # the first one that is not over
    known = place < len(ends)
    wait = starts[np.minimum(place, len(ends) - 1)] - ticks
    return np.where(~known, FAR, np.where(wait <= 0, SOUNDS, 2 + np.searchsorted(WAITS, wait)))


# ---- the harmony that a piece has -----------------------------------------------------------------------------------


def harmony_of(score: Score, rate: Rate) -> HarmonyPlan:
    """The harmony of a quantised score, from its first bar to its last."""
    edges = np.array([*(tick for bar in steps_of(score, rate) for tick in bar), bars(score)[-1]])
    return HarmonyPlan(edges, heard(pitched_notes(score), edges), phrase_ends(tune_of(score)))


def steps_of(score: Score, rate: Rate) -> list[list[int]]:
    """The ticks at which the steps of each bar begin."""
    lines, changes = bars(score), meters(score)
    starts = [tick for tick, _, _ in changes]
    places = np.searchsorted(starts, lines[:-1], side="right") - 1
    rows = zip(lines[:-1].tolist(), lines[1:].tolist(), places.tolist(), strict=True)
    return [steps_of_bar(start, stop, changes[place][1:], rate) for start, stop, place in rows]


def steps_of_bar(start: int, stop: int, meter: tuple[int, int], rate: Rate) -> list[int]:
    """The ticks at which the steps of a bar begin: its beats (of three eighths in 6/8), or its halves where it has."""
    numerator, denominator = meter
    compound = denominator >= 8 and numerator % 3 == 0
    beat = GRID * 4 // denominator * (3 if compound else 1)
    if rate == "halves":
        beat = (stop - start) // 2 if (stop - start) % (2 * beat) == 0 else stop - start
    return list(range(start, stop, max(1, beat)))


def pitched_notes(score: Score) -> Notes:
    """The notes of all pitched tracks together."""
    parts = [notes_of(track) for track in score.tracks if not track.is_drum]
    return Notes(*(np.concatenate([part[column] for part in parts] or [np.zeros(0, np.int64)]) for column in range(4)))


def tune_of(score: Score) -> Notes:
    """The first pitched track with notes where it is a single line and no bass, or the highest line above a bass.

    Else the highest notes of all tracks.
    """
    parts = [notes_of(track) for track in score.tracks if not track.is_drum and len(track.notes)]
    heights = [float(part.pitch.mean()) for part in parts]
    lines = [number for number, part in enumerate(parts) if most_at_once(part) == 1]
    if len(parts) > 1 and lines[:1] == [0] and heights[0] == min(heights):
        lines = sorted(lines[1:], key=lambda number: -heights[number])
    elif lines[:1] != [0]:
        lines = []
    if lines:
        return parts[lines[0]]
    notes = pitched_notes(score)
    notes = notes.take(np.lexsort((-notes.pitch, notes.onset)))
    return notes.take(np.diff(notes.onset, prepend=-1) != 0)


def phrase_ends(tune: Notes) -> tuple[tuple[int, int], ...]:
    """The last notes of the phrases of a line: the last of a run of notes of two quarters or more."""
    order = np.argsort(tune.onset, kind="stable")
    onset, duration = tune.onset[order], tune.duration[order]
    long = duration >= LONG
    last = long & ~np.append(long[1:] & (onset[1:] == (onset + duration)[:-1]), False)
    return tuple(zip(onset[last].tolist(), (onset + duration)[last].tolist(), strict=True))

"""Harmony and line in numbers: cadences, changes of chord, leading notes, turns of the tune, runs of the bass.

Chords are as `melody.music.heard_chords` hears them: half bar by half bar where they change, beat by beat where they
close. Degrees count from the tonic of the key that the excerpt suggests. The tune is the first track, the bass the
last.

- nats of a chord change: -ln p of the next degree and family (major, minor, diminished), given the one before, under
  the changes of the train split; of these changes, those whose root falls a fifth
- an authentic cadence: the tune begins a note of two beats or more over a chord whose root lies a fifth below that of
  the beat before, which has a major third; in sixteen bars
- a leading note in the dominant is unresolved where the tonic follows and its voice goes elsewhere
- the tune turns where it moves on in the other direction; a run of the bass is how often it moves on in one direction
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log

import numpy as np

from melody.evaluation.form import Excerpt, Statistic, mean_of
from melody.music.chords import DIM, DIM_SEVENTH, HALF_DIM, MINOR, MINOR_SEVENTH, OCTAVE
from melody.music.heard_chords import heard
from melody.music.key import Key, key_of_durations
from melody.music.score import GRID, Ints, Notes
from melody.tokens.plan import DRUM_HIT

LONG = 2 * GRID  # ticks that a phrase's last note has, at least
PER_BARS = 16
FIFTH_DOWN = OCTAVE - 7
SMOOTHING = 0.5  # what a change counts that train has not
AGO = 4  # bars
FAMILIES = 3  # major, minor, diminished
FAMILY = dict.fromkeys((MINOR, MINOR_SEVENTH), 1) | dict.fromkeys((DIM, HALF_DIM, DIM_SEVENTH), 2)

Degree = tuple[int, int]  # semitones above the tonic, family
DOMINANTS: tuple[Degree, ...] = ((7, 0), (11, 2))


@dataclass(frozen=True)
class Harmony:
    """Chords and lines of an excerpt; counted is what begins at tick `start` or later."""

    tracks: tuple[Notes, ...]
    start: int
    bars: int
    bar_ticks: int

    @classmethod
    def of(cls, excerpt: Excerpt) -> "Harmony":
        """The harmony of an excerpt, as if all of its bars were as long."""
        length = excerpt.bar_ticks
        rows = [
            (track, bar * length + place, duration, hit)
            for bar, events in enumerate(excerpt.bars)
            for place, track, hit, _, duration in events
            if hit < DRUM_HIT and place < length
        ]
        table = np.array(sorted(rows), np.int64).reshape(-1, 4)
        tracks = tuple(_notes(table[table[:, 0] == track]) for track in np.unique(table[:, 0]))
        return cls(tracks, excerpt.start * length, len(excerpt.bars), length)

    @cached_property
    def together(self) -> Notes:
        """The notes of all tracks."""
        parts = (_notes(np.zeros((0, 4), np.int64)), *self.tracks)
        return Notes(*map(np.concatenate, zip(*parts, strict=True)))

    @cached_property
    def key(self) -> Key:
        """The key that all notes suggest."""
        notes = self.together
        return key_of_durations(np.bincount(notes.pitch % OCTAVE, notes.duration, OCTAVE).astype(np.float64))

    @cached_property
    def beats(self) -> list[Degree | None]:
        """The chord of each beat."""
        return self._chords(GRID)

    @cached_property
    def halves(self) -> list[Degree | None]:
        """The chord of each half bar."""
        return self._chords(self.bar_ticks // 2)

    def _chords(self, step: int) -> list[Degree | None]:
        values = heard(self.together, np.arange(0, self.bars * self.bar_ticks + 1, step))[:, 0].tolist()
        return [self._degree(value - 1) if value else None for value in values]

    def _degree(self, value: int) -> Degree:
        quality, root = divmod(value, OCTAVE)
        return (root - self.key.tonic) % OCTAVE, FAMILY.get(quality, 0)

    @cached_property
    def changes(self) -> list[tuple[Degree, Degree]]:
        """The changes of chord from one half bar to another."""
        heard_ones = [(half, chord) for half, chord in enumerate(self.halves) if chord is not None]
        first = 2 * (self.start // self.bar_ticks)
        return [(a, b) for (_, a), (half, b) in pairwise(heard_ones) if a != b and half >= first]

    @property
    def cadences(self) -> int:
        """Number of authentic cadences."""
        return len(self.cadence_ticks)

    @property
    def cadence_ticks(self) -> list[int]:
        """The ticks at which authentic cadences reach their tonic."""
        tune = self.tracks[0] if self.tracks else self.together
        ends = tune.onset[(tune.duration >= LONG) & (tune.onset >= max(self.start, GRID))]
        return [tick for tick in ends.tolist() if _closes(*self.beats[tick // GRID - 1 : tick // GRID + 1])]

    @property
    def leading_notes(self) -> Iterator[bool]:
        """Yield of each leading note in a dominant that the tonic follows, whether it is left unresolved."""
        tonic, beats = self.key.tonic, self.beats
        for notes in self.tracks:
            for at in np.flatnonzero(notes.pitch[:-1] % OCTAVE == self.key.leading_note).tolist():
                last = int(notes.onset[at] + notes.duration[at] - 1) // GRID  # beat
                if notes.onset[at] < self.start or last + 1 >= len(beats) or beats[last] not in DOMINANTS:
                    continue
                follows = beats[last + 1]
                if follows is not None and follows[0] == 0:
                    yield int(notes.pitch[at + 1]) % OCTAVE != tonic

    def moves(self, track: int) -> Ints:
        """The directions in which a track moves, repeated notes left out."""
        if not self.tracks:
            return np.zeros(0, np.int64)
        notes = self.tracks[track]
        steps: Ints = np.sign(np.diff(notes.pitch[notes.onset >= self.start]))
        return steps.take(np.flatnonzero(steps))


def _notes(table: Ints) -> Notes:
    return Notes(table[:, 1], table[:, 2], table[:, 3], np.full(len(table), 80))


def _closes(before: Degree | None, chord: Degree | None) -> bool:
    """Return True for a chord with a major third and one whose root lies a fifth below."""
    if before is None or chord is None or before[1] != 0 or chord[1] == 2:
        return False
    return (chord[0] - before[0]) % OCTAVE == FIFTH_DOWN


@dataclass(frozen=True)
class Changes:
    """Counts of chord changes, by mode and the degree before."""

    counts: Mapping[tuple[str, Degree], Counter[Degree]]

    @classmethod
    def of(cls, pieces: Iterable[Excerpt]) -> "Changes":
        """The changes in these pieces."""
        counts: dict[tuple[str, Degree], Counter[Degree]] = {}
        for harmony in map(Harmony.of, pieces):
            for before, after in harmony.changes:
                counts.setdefault((harmony.key.mode, before), Counter())[after] += 1
        return cls(counts)

    def nats(self, mode: str, before: Degree, after: Degree) -> float:
        """-ln p of a change."""
        row = self.counts.get((mode, before), Counter())
        return log((row.total() + SMOOTHING * OCTAVE * FAMILIES) / (row[after] + SMOOTHING))


def cadences(all_: Sequence[Harmony], counted: int) -> float:
    """Number of authentic cadences in sixteen bars."""
    return PER_BARS * sum(one.cadences for one in all_) / max(1, counted)


def runs(moves: Ints) -> list[int]:
    """Lengths of runs in one direction."""
    edges = np.flatnonzero(np.diff(moves, prepend=0, append=0))
    return [int(length) for length in np.diff(edges)]


def as_before(one: Harmony, bars: int) -> Iterator[bool]:
    """Yield of each half bar whether its chord is that of so many bars ago."""
    first = 2 * (one.start // one.bar_ticks)
    for half in range(max(first, 2 * bars), len(one.halves)):
        if one.halves[half] is not None:
            yield one.halves[half] == one.halves[half - 2 * bars]


def harmonies(train: Changes) -> dict[str, Statistic]:
    """The statistics of harmony, by the changes of the train split; of single lines none has a sense."""

    def of(measure: Callable[[Sequence[Harmony]], float]) -> Statistic:
        return lambda excerpts: measure([Harmony.of(one) for one in excerpts])

    def every(one: Harmony) -> list[tuple[str, Degree, Degree]]:
        return [(one.key.mode, *change) for change in one.changes]

    return {
        "nats of a chord change": of(lambda all_: mean_of(train.nats(*c) for one in all_ for c in every(one))),
        "roots that fall a fifth": of(
            lambda all_: mean_of((b[0] - a[0]) % OCTAVE == FIFTH_DOWN for one in all_ for a, b in one.changes)
        ),
        "chord as 4 bars ago": of(lambda all_: mean_of(same for one in all_ for same in as_before(one, AGO))),
        "authentic cadences in 16 bars": of(
            lambda all_: cadences(all_, sum(one.bars - one.start // one.bar_ticks for one in all_))
        ),
        "unresolved leading notes": of(lambda all_: mean_of(left for one in all_ for left in one.leading_notes)),
        "turns of the tune": of(lambda all_: mean_of(t for one in all_ for t in np.diff(one.moves(0)) != 0)),
        "run of the bass": of(lambda all_: mean_of(run for one in all_ for run in runs(one.moves(-1)))),
    }

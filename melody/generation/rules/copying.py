"""Copies of training music, watched as they are composed: `--max-copy-bars`.

A `CopyReader` reads as every reader does, and beside that knows of each new voice which passages of training pieces
it is just copying and where each of them began (see `melody.music.originality`: a voice is a track's line, a passage
a diagonal of matching n-grams). So `NoLongCopy` is a rule like others: it forbids the pitch with which a passage
would grow past the limit and the duration with which its last note would end past it. Only new notes count; what the
musician quotes is the musician's.

Being forced off a copied tune at the very last moment sounds like a wrong note. So a sampler first tries to have been
elsewhere: it goes back to a bar line and draws again (`melody.generation.decoders.sampling`), and lets the rule
speak where that has not helped. Beam search has its alternatives at hand and simply obeys.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard, cast

import numpy as np

from melody.generation.rules.contract import Mask
from melody.music.originality import LENGTH, Index, followed_by
from melody.music.score import Ints
from melody.tokens import Reader, Vocabulary
from melody.tokens.vocabulary import DRUMS, MAX_DURATION

PITCHES = np.arange(128)
UNBOUNDED = 2**40  # ticks


class LineNote(NamedTuple):
    """A note of a line; ticks of the grid."""

    onset: int
    duration: int
    pitch: int


class CopiedLine(NamedTuple):
    """The new notes of a track as one voice."""

    notes: tuple[LineNote, ...] = ()  # the last ones, up to LENGTH
    copied: Mapping[int, int] = {}  # row of the n-gram that the last note completes: onset of the passage's first note
    latest: LineNote | None = None  # the highest so far of the latest onset, which a higher one may yet replace


NOTHING = CopiedLine()


class CopyReader:
    """A reader around another one, which goes on from there and knows what the notes to come copy.

    All that is asked of it beside that the inner reader answers.
    """

    __slots__ = ("given", "index", "inner", "lines", "longest_bar", "max_bars")

    def __init__(self, inner: Reader, index: Index, max_bars: float, given: frozenset[int] = frozenset()) -> None:
        """`given` are tracks whose new notes are the musician's: they are not watched."""
        self.inner = inner
        self.index = index
        self.max_bars = max_bars
        self.given = given
        self.longest_bar = 0  # ticks, of the new ones
        self.lines: Mapping[int, CopiedLine] = {}  # by track; replaced, never changed: copies of the reader share it

    def around(self, inner: Reader) -> Reader:
        """Return a reader around another one, which knows as little of copies as this one did at first."""
        return watching(inner, self.index, self.max_bars, self.given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def copy(self) -> "CopyReader":
        """Return an independent reader at the same place."""
        result = CopyReader(self.inner.copy(), self.index, self.max_bars, self.given)
        result.longest_bar, result.lines = self.longest_bar, self.lines
        return result

    def read(self, token: int) -> None:
        """Take the next token."""
        inner = self.inner
        durations = inner.ids["Duration"]
        if token not in durations:
            inner.read(token)
            return
        note = LineNote(inner.tick, inner.length + token - durations.start + 1, inner.pitch)
        inner.read(token)
        self.longest_bar = max(self.longest_bar, inner.bar_ticks)
        if self.watched:
            self.lines = {**self.lines, inner.track: self._settled()._replace(latest=note)}

    @property
    def watched(self) -> bool:
        """True where copies in the track under way count."""
        return self.track >= 0 and self.programs[self.track] != DRUMS and self.track not in self.given

    def _settled(self) -> CopiedLine:
        """The line of the track under way, with all notes that began before now."""
        line = self.lines.get(self.track, NOTHING)
        if line.latest is None or line.latest.onset == self.tick:
            return line
        copied = {row: begin for _, row, begin in self._copied(line, np.array([line.latest.pitch]))}
        line = CopiedLine((*line.notes, line.latest)[-LENGTH:], copied)
        self.lines = {**self.lines, self.track: line}  # known from now on
        return line

    def _copied(self, line: CopiedLine, pitches: Ints) -> Iterator[tuple[int, int, int]]:
        """For each of the next `pitches` (its position) the rows it completes, and where each passage begins."""
        if len(line.notes) < LENGTH:
            return
        _, duration, pitch = np.array(line.notes).T
        grams = followed_by(duration, pitch, pitches, self.index.older)
        for position, row in zip(*self.index.find(grams), strict=True):
            fresh = line.notes[0].onset
            begin = fresh if self.index.first[row] else line.copied.get(int(row) - 1, fresh)
            yield int(position), int(row), begin

    def room(self, pitches: Ints, enough: int) -> Ints:
        """Return the ticks (N,) that a note of each pitch (N,) may last before a passage grows too long.

        It need not be exact where it is `enough`, which costs nothing to find out while no passage can be long.
        """
        line = self._settled()
        room = np.full(len(pitches), UNBOUNDED)
        limit = int(self.max_bars * max(self.longest_bar, self.bar_ticks)) - self.tick
        if len(line.notes) < LENGTH or min((line.notes[0].onset, *line.copied.values())) + limit >= enough:
            return room
        for position, _, begin in self._copied(line, pitches):
            room[position] = min(room[position], begin + limit)
        return room

    @property
    def usual_duration(self) -> int:
        """Return the length of the line's last note: with less room than this a note would be a stub."""
        line = self._settled()
        return line.notes[-1].duration if line.notes else 1


def watching(reader: Reader, index: Index, max_bars: float, given: frozenset[int] = frozenset()) -> Reader:
    """Return a `CopyReader` around a reader, in whose place it stands."""
    return cast("Reader", CopyReader(reader, index, max_bars, given))


class NoLongCopy:
    """The rule that no voice copies more than its `CopyReader` was told; of other readers it says nothing."""

    back_at = frozenset({"Pitch"})  # a duration is only cut

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        if not self._watches(reader):
            return None
        ids, mask = self.vocabulary.ids, np.ones(len(self.vocabulary), bool)
        if reader.kind in ("Pitch", "Sustain"):
            room = int(reader.room(np.array([reader.pitch]), UNBOUNDED)[0]) - reader.length
            mask[ids["Duration"].start + max(room, 1) : ids["Duration"].stop] = False
            mask[ids["Sustain"][0]] = room > MAX_DURATION
        else:
            least = reader.usual_duration
            mask[ids["Pitch"].start : ids["Pitch"].stop] = reader.room(PITCHES, least) >= least
        return mask

    def forbids(self, reader: Reader, token: int) -> bool:
        """Return True where this token may not follow: the same, at the price of one pitch."""
        kind = self.vocabulary.kind_of[token]
        if kind not in ("Pitch", "Sustain", "Duration") or not self._watches(reader):
            return False
        value = token - self.vocabulary.ids[kind].start
        if kind == "Pitch":
            pitch, least = value, reader.usual_duration
        else:
            pitch, least = reader.pitch, reader.length + 1 + (value if kind == "Duration" else MAX_DURATION)
        return bool(reader.room(np.array([pitch]), least)[0] < least)

    @staticmethod
    def _watches(reader: object) -> TypeGuard[CopyReader]:
        return isinstance(reader, CopyReader) and reader.watched

"""Copies of training music, watched as they are composed: `--max-copy-bars`.

A `CopyReader` reads as every reader does, and beside that knows of each new voice which passages of training pieces
it is just copying and where each of them began (see `melody.music.originality`: a voice is a track's line, a passage
a diagonal of matching n-grams). So `NoLongCopy` is a rule like others: it forbids the pitch with which a passage
would grow past the limit and the duration with which its last note would end past it. Only new notes count; what the
musician quotes is the musician's.

Being forced off a copied tune at the very last moment sounds like a wrong note. So a sampler first tries to have been
elsewhere: it goes back to a bar line and draws again (`melody.generation.decoders.decode_loop`), and lets the rule
speak where that has not helped. Beam search has its alternatives at hand and simply obeys.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeGuard

import numpy as np

from melody.generation.rules.rules import Mask
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


class Line(NamedTuple):
    """The new notes of a track as one voice."""

    notes: tuple[LineNote, ...] = ()  # the last ones, up to LENGTH
    copied: Mapping[int, int] = {}  # row of the n-gram that the last note completes: onset of the passage's first note
    latest: LineNote | None = None  # the highest so far of the latest onset, which a higher one may yet replace


NOTHING = Line()


class CopyReader(Reader):
    """A reader that goes on from another one, and knows what the notes from there on copy."""

    __slots__ = ("given", "index", "lines", "longest_bar", "max_bars")

    def __init__(self, reader: Reader, index: Index, max_bars: float, given: frozenset[int] = frozenset()) -> None:
        """`given` are tracks whose new notes are the musician's: they are not watched."""
        for name in Reader.__slots__:
            setattr(self, name, getattr(reader, name))
        self.context, self.recall = reader.context.copy(), reader.recall.copy()
        self.index = index
        self.max_bars = max_bars
        self.given = given
        self.longest_bar = 0  # ticks, of the new ones
        self.lines: Mapping[int, Line] = {}  # by track; replaced, never changed: copies of the reader share it

    def _read_Duration(self, value: int) -> None:
        note = LineNote(self.tick, self.length + value + 1, self.pitch)
        super()._read_Duration(value)
        self.longest_bar = max(self.longest_bar, self.bar_ticks)
        if self.watched:
            self.lines = {**self.lines, self.track: self._settled()._replace(latest=note)}

    @property
    def watched(self) -> bool:
        """Whether the track under way is one whose copies count."""
        return self.track >= 0 and self.programs[self.track] != DRUMS and self.track not in self.given

    def _settled(self) -> Line:
        """The line of the track under way, with all notes that began before now."""
        line = self.lines.get(self.track, NOTHING)
        if line.latest is None or line.latest.onset == self.tick:
            return line
        copied = {row: begin for _, row, begin in self._copied(line, np.array([line.latest.pitch]))}
        line = Line((*line.notes, line.latest)[-LENGTH:], copied)
        self.lines = {**self.lines, self.track: line}  # known from now on
        return line

    def _copied(self, line: Line, pitches: Ints) -> Iterator[tuple[int, int, int]]:
        """For each of the next `pitches` (its position) the rows it completes, and where each passage begins."""
        if len(line.notes) < LENGTH:
            return
        _, duration, pitch = np.array(line.notes).T
        for position, row in zip(*self.index.find(followed_by(duration, pitch, pitches)), strict=True):
            fresh = line.notes[0].onset
            begin = fresh if self.index.first[row] else line.copied.get(int(row) - 1, fresh)
            yield int(position), int(row), begin

    def room(self, pitches: Ints, enough: int) -> Ints:
        """How many ticks a note of each pitch (N,) may last here before a passage grows too long; shape (N,).

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
        """That of the line's last note: with less room than this a note would be a stub."""
        line = self._settled()
        return line.notes[-1].duration if line.notes else 1


class NoLongCopy:
    """The rule that no voice copies more than its `CopyReader` was told; of other readers it says nothing."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def __call__(self, reader: Reader) -> Mask | None:
        """What may follow (V,)."""
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
        """Whether this token may not follow: the same, at the price of one pitch."""
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
    def _watches(reader: Reader) -> TypeGuard[CopyReader]:
        return isinstance(reader, CopyReader) and reader.watched

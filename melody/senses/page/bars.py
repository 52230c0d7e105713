"""Symbols of staves to bars of notes: pitches from clef, key and accidentals; which bars do not add up.

A bar has the length that its meter says. One that is shorter is filled with silence, one that is longer is cut; both
are marked. The first bar may be a pickup, and two that a repeat divides may make up one together. Repeats are played
twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from melody.senses.page.symbols import ACCIDENTALS

BOTTOMS = {"G2": 30, "G2_8vb": 23, "F4": 18, "C3": 24, "C4": 22}  # steps of the bottom line above C0
STEPS = (0, 2, 4, 5, 7, 9, 11)
SHARPS, FLATS = (3, 0, 4, 1, 5, 2, 6), (6, 2, 5, 1, 4, 0, 3)  # steps of a key's accidentals
TRIPLET = Fraction(2, 3)
Meter = tuple[int, int]


class ReadSymbol(NamedTuple):
    """A symbol as it was read, how sure the reader is, in [0, 1], and spaces from the staff's left end."""

    text: str
    sure: float = 1.0
    at: float = 0.0


class PageNote(NamedTuple):
    """A note within its bar; times in quarters."""

    onset: Fraction
    duration: Fraction
    pitch: int
    tied: bool  # to the next note


@dataclass
class PageBar:
    """A bar: its notes, its length as written and as its meter says, and what begins with it."""

    meter: Meter
    key: int  # sharps, flats negative
    notes: list[PageNote] = field(default_factory=list)
    length: Fraction = Fraction(0)
    unsure: int = 0  # symbols that the reader was not sure of
    starts_repeat: bool = False
    ends_repeat: bool = False
    onsets: list[Fraction] = field(default_factory=list)  # of notes and rests
    places: list[float] = field(default_factory=list)  # where these stand, in spaces
    ends_at: float = 0.0  # where the line at its end does
    silent: bool = False  # a rest for all of it, however long that is

    @property
    def full(self) -> Fraction:
        """Length by the meter, in quarters."""
        return Fraction(4 * self.meter[0], self.meter[1])

    def before(self, line: Fraction) -> "PageBar":
        """Its part before a bar line that was not seen, so many quarters from its beginning."""
        notes = [note for note in self.notes if note.onset < line]
        onsets = [onset for onset in self.onsets if onset < line]
        places, ends_at = self.places[: len(onsets)], self.places[len(onsets)]
        return replace(self, notes=notes, onsets=onsets, places=places, ends_at=ends_at, length=line, ends_repeat=False)

    def behind(self, line: Fraction) -> "PageBar":
        """Its part behind that line."""
        notes = [note._replace(onset=note.onset - line) for note in self.notes if note.onset >= line]
        onsets = [onset - line for onset in self.onsets if onset >= line]
        places = self.places[-len(onsets) :]
        return replace(self, notes=notes, onsets=onsets, places=places, length=self.length - line, starts_repeat=False)


@dataclass
class _Reading:
    """State of reading a staff: what the clef, the key and the accidentals of this bar say."""

    clef: str = "G2"
    key: int = 0
    meter: Meter = (4, 4)
    altered: dict[int, int] = field(default_factory=dict)  # steps above C0 to semitones, in this bar
    accidental: int | None = None
    in_triplet: Fraction = Fraction(0)  # of it that is to come, in units of its first note
    unit: Fraction = Fraction(0)
    dot: Fraction = Fraction(0)  # what a dot adds to what stands last
    dotted_note: bool = False
    at: float = 0.0  # where the symbol stands
    saw: set[str] = field(default_factory=set)


SURE = 0.6  # below which a symbol counts as uncertain


def bars_of_staves(staves: Sequence[Sequence[ReadSymbol]]) -> tuple[list[PageBar], set[str]]:
    """Return the bars of staves that follow each other, and which of clef, key and meter were seen at all."""
    state = _Reading()
    bars: list[PageBar] = []
    bar: PageBar | None = None
    for staff in staves:
        state.altered.clear()
        for symbol in staff:
            if bar is None:
                bar = PageBar(state.meter, state.key)
            kind, _, rest = symbol.text.partition(".")
            bar.unsure += symbol.sure < SURE
            state.at = bar.ends_at = symbol.at
            if kind == "bar":
                bar = _close(bars, bar, rest, state)
            elif kind != "triplet" or symbol.sure >= SURE:  # else the bar's length tells
                _read(state, bar, kind, rest)
        if bar is not None and bar.length:
            bars.append(bar)  # a line without a bar line at its end
        bar = None
    return bars, state.saw


def _close(bars: list[PageBar], bar: PageBar, kind: str, state: _Reading) -> PageBar:
    """End a bar at a bar line, and return the next one."""
    state.altered.clear()
    if bar.length:
        bar.ends_repeat |= kind in ("end", "both")
        bars.append(bar)
    elif bars:
        bars[-1].ends_repeat |= kind in ("end", "both")
    return PageBar(state.meter, state.key, starts_repeat=kind in ("start", "both"))


def _read(state: _Reading, bar: PageBar, kind: str, rest: str) -> None:
    if kind in ("clef", "key", "meter"):
        state.saw.add(kind)
    if kind == "clef":
        state.clef = rest
    elif kind == "key":
        state.key = bar.key = int(rest)
    elif kind == "meter":
        state.meter = bar.meter = _meter(rest)
    elif kind == "acc":
        state.accidental = ACCIDENTALS[rest]
    elif kind == "triplet":
        state.in_triplet = Fraction(-1)  # its first note says how long it is
    elif kind == "note":
        length, place = rest.split(".")
        pitch = _pitch(state, int(place))
        _lay(state, bar, Fraction(4, int(length)), pitch)
    elif kind == "rest":
        whole = bar.silent = rest == "1" and not bar.length
        _lay(state, bar, bar.full if whole else Fraction(4, int(rest)), None)
    elif kind == "dot":
        _dot(state, bar)
    elif kind == "tie" and bar.notes:
        bar.notes[-1] = bar.notes[-1]._replace(tied=True)


def _meter(text: str) -> Meter:
    if text in ("C", "C|"):
        return (4, 4) if text == "C" else (2, 2)
    numerator, denominator = text.split("/")
    return int(numerator), int(denominator)


def _pitch(state: _Reading, place: int) -> int:
    step = BOTTOMS[state.clef] + place
    if state.accidental is not None:
        state.altered[step] = state.accidental
    state.accidental = None
    shift = state.altered.get(step)
    if shift is None:
        name = step % 7
        shift = (name in SHARPS[: max(0, state.key)]) - (name in FLATS[: max(0, -state.key)])
    return 12 + 12 * (step // 7) + STEPS[step % 7] + shift


def _lay(state: _Reading, bar: PageBar, duration: Fraction, pitch: int | None) -> None:
    if state.in_triplet == -1:
        state.unit, state.in_triplet = duration, Fraction(3)
    if state.in_triplet > 0:
        state.in_triplet -= duration / state.unit
        duration *= TRIPLET
    state.dot, state.dotted_note = duration / 2, pitch is not None
    bar.silent &= not bar.length
    bar.onsets.append(bar.length)
    bar.places.append(state.at)
    if pitch is not None:
        bar.notes.append(PageNote(bar.length, duration, pitch, False))
    bar.length += duration


def _dot(state: _Reading, bar: PageBar) -> None:
    """Lengthen what stands last by half, by a quarter for a second dot."""
    if state.dotted_note and bar.notes:
        last = bar.notes[-1]
        bar.notes[-1] = last._replace(duration=last.duration + state.dot)
    bar.length += state.dot
    state.dot /= 2


def played(bars: Sequence[PageBar]) -> Iterator[tuple[int, PageBar]]:
    """Yield (number from 1, bar) in the order of playing: what stands between repeat signs twice."""
    start = 0
    for index, bar in enumerate(bars):
        if bar.starts_repeat:
            start = index
        yield index + 1, bar
        if bar.ends_repeat:
            yield from ((number + 1, bars[number]) for number in range(start, index + 1))
            start = index + 1

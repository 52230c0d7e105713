"""A voice played out: its events, stretch by stretch, to notes, measures and changes at exact times.

Time is counted in units that divide a quarter and every length of the tune (`Clock`), so that no time is rounded before
the end. A tie holds a note only if the next one, in the order of playing, has its pitch: a tie to another is a slur.
Where playing goes back, meter, key and tempo are again those that hold there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

from melody.errors import LimitExceeded
from melody.formats.abc.events import (
    AbcSound,
    AbcSymbol,
    Event,
    KeyChange,
    MeterChange,
    Overlay,
    Rests,
    TempoChange,
    Tone,
    Words,
)
from melody.formats.abc.fields import Meter
from melody.formats.abc.music import Bar
from melody.formats.abc.repeats import Stretch, stretches
from melody.music.score import TICKS_PER_QUARTER

MAX_NOTES = 40_000  # of all voices, repeats played out
MAX_EVENTS = 200_000
MAX_QUARTERS = 40_000  # 10,000 bars of four
_FREE_BAR = (4, 4)  # free meter is counted in such


@dataclass(frozen=True)
class Clock:
    """Exact whole units a quarter."""

    units: int

    @classmethod
    def of(cls, voices: Iterable[Sequence[Event]]) -> "Clock":
        """A clock for all lengths of these events."""
        denominators = {TICKS_PER_QUARTER}
        for events in voices:
            for event in events:
                if isinstance(event, AbcSound):
                    denominators.add(event.length.denominator)
                    denominators.update(tone.length.denominator for tone in event.tones)
        return cls(lcm(*denominators))

    def count(self, length: Fraction) -> int:
        """A length in units."""
        return length.numerator * (self.units // length.denominator)

    def tick(self, time: int) -> int:
        """The tick of a time, rounded half up."""
        return (2 * TICKS_PER_QUARTER * time + self.units) // (2 * self.units)

    def quarters(self, time: int) -> Fraction:
        """A time in quarters."""
        return Fraction(time, self.units)


@dataclass
class Played:
    """A voice as played; times in units of the clock."""

    notes: list[tuple[int, int, Tone]] = field(default_factory=list)  # (start, end, tone)
    lyrics: list[tuple[int, str]] = field(default_factory=list)
    symbols: list[tuple[int, str]] = field(default_factory=list)
    words: list[tuple[int, str]] = field(default_factory=list)
    keys: list[tuple[int, KeyChange]] = field(default_factory=list)
    tempos: list[tuple[int, float]] = field(default_factory=list)
    measures: list[tuple[int, Meter, int]] = field(
        default_factory=list
    )  # (length, meter, index of the event at its end)
    unsung: int = 0  # the most verses below a note that no pass came to
    end: int = 0


def play(events: Sequence[Event], parts: Sequence[str], clock: Clock, name: str) -> Played:
    """Play a voice out. Raises `LimitExceeded`, naming the tune `name`."""
    order: list[Stretch] = []
    count = 0
    for stretch in stretches(events, parts):
        count += stretch.stop - stretch.start + 1
        if count > MAX_EVENTS:
            raise LimitExceeded(f"{name}: its repeats make over {MAX_EVENTS:,} notes and rests; take some out")
        order.append(stretch)
    states = _states(events, {stretch.start for stretch in order})
    player = _Player(events, clock, name)
    before = 0
    for stretch in order:
        if stretch.start != before:
            player.restore(states[stretch.start])
        player.play(stretch)
        before = stretch.stop
    return player.finish()


_State = dict[type, Event]


def _states(events: Sequence[Event], places: set[int]) -> dict[int, _State]:
    """The meter, key and tempo in force before the events at `places`."""
    state: _State = {}
    result = {}
    for index, event in enumerate(events):
        if index in places:
            result[index] = dict(state)
        if isinstance(event, MeterChange | KeyChange | TempoChange):
            state[type(event)] = event
    return result | {index: dict(state) for index in places if index >= len(events)}


class _Player:
    def __init__(self, events: Sequence[Event], clock: Clock, name: str) -> None:
        self.events, self.clock, self.name = events, clock, name
        self.played = Played()
        self.state: _State = {}
        self.index = self.time = self.bar = self.reach = (
            0  # now, the beginning of the bar, the end of its longest overlay
        )
        self.passing = 0  # bar lines of an overlay before its last bar
        self.tied: dict[tuple[int, int], int] = {}  # (pitch, end) -> index of the note

    def restore(self, state: _State) -> None:
        """Go back to the meter, key and tempo that hold where playing goes on."""
        for kind, event in state.items():
            if self.state.get(kind) != event:
                self.change(event)

    def play(self, stretch: Stretch) -> None:
        """Play events in a row."""
        for index in range(stretch.start, stretch.stop):
            event = self.events[index]
            self.index = index
            if isinstance(event, AbcSound):
                self.sound(event, stretch.number)
            elif isinstance(event, Bar):
                self.bar_line()
            elif isinstance(event, MeterChange | KeyChange | TempoChange):
                self.change(event)
            elif isinstance(event, AbcSymbol):
                self.played.symbols.append((self.time, event.text))
            elif isinstance(event, Words):
                self.played.words.append((self.time, event.text))
            elif isinstance(event, Overlay):
                self.overlay(event.bars)
            elif isinstance(event, Rests):
                self.rest(event.bars)
        if max(self.time, self.reach) > MAX_QUARTERS * self.clock.units:
            raise LimitExceeded(f"{self.name}: lasts over {MAX_QUARTERS:,} quarters, all that melody reads")
        if len(self.played.notes) > MAX_NOTES:
            raise LimitExceeded(f"{self.name}: over {MAX_NOTES:,} notes with its repeats, all that melody reads")

    def sound(self, sound: AbcSound, number: int) -> None:
        """Play a note, a chord or a rest, in the pass of that number."""
        notes, start = self.played.notes, self.time
        for tone in sound.tones:
            end = start + self.clock.count(tone.length)
            index = self.tied.pop((tone.pitch, start), None)
            if index is not None:
                notes[index] = (notes[index][0], end, notes[index][2])
            elif end > start:
                index = len(notes)
                notes.append((start, end, tone))
            if tone.is_tied and index is not None:
                self.tied[tone.pitch, end] = index
        if sound.lyrics:
            self.played.unsung = max(self.played.unsung, len(sound.lyrics) - number)
            text = sound.lyrics[min(number, len(sound.lyrics)) - 1]
            self.played.lyrics += [(start, text)] if text else []
        self.time += self.clock.count(sound.length)

    def rest(self, bars: int) -> None:
        """Pass over whole bars."""
        self.end_measure()
        meter = self.meter
        length = self.clock.count(Fraction(4 * (meter or _FREE_BAR)[0], (meter or _FREE_BAR)[1]))
        if self.time + bars * length > MAX_QUARTERS * self.clock.units:
            raise LimitExceeded(f"{self.name}: lasts over {MAX_QUARTERS:,} quarters, all that melody reads")
        self.played.measures += [(length, meter, self.index)] * bars
        self.time += bars * length
        self.bar = self.reach = self.time

    @property
    def meter(self) -> Meter:
        """The meter in force."""
        change = self.state.get(MeterChange)
        return change.meter if isinstance(change, MeterChange) else (4, 4)

    def change(self, event: MeterChange | KeyChange | TempoChange | Event) -> None:
        """Begin a meter, a key or a tempo."""
        if isinstance(event, MeterChange):
            self.end_measure()
        elif isinstance(event, KeyChange):
            self.played.keys.append((self.time, event))
        elif isinstance(event, TempoChange):
            self.played.tempos.append((self.time, event.qpm))
        self.state[type(event)] = event

    def overlay(self, bars: int) -> None:
        """Go back to the beginning of the last of so many bars, the present one included."""
        before = self.played.measures[-(bars - 1) :] if bars > 1 else []
        self.reach = max(self.reach, self.time)
        self.time = self.bar - sum(length for length, _, _ in before)
        self.passing = len(before)

    def bar_line(self) -> None:
        """End the bar, unless an overlay of several bars goes on."""
        if self.passing:
            self.passing -= 1
        else:
            self.end_measure()

    def end_measure(self) -> None:
        """End the bar, where there is something in it."""
        self.time = max(self.time, self.reach)
        if self.time > self.bar:
            self.played.measures.append((self.time - self.bar, self.meter, self.index))
        self.bar = self.reach = self.time
        self.passing = 0

    def finish(self) -> Played:
        """Return all that was played."""
        self.end_measure()
        self.played.end = self.time
        return self.played

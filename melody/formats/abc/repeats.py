"""The order in which a voice is played: repeats, variant endings and parts (ABC 2.1, 3.1.9 and 4.8 to 4.10).

|: a b |1 c :|2 d |]      a b c a b d
a b || c d :|             a b c d c d    an end alone goes back to the last double bar, end of a repeat, or the start
|:: a ::|                 a a a
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from melody.formats.abc.events import AbcPart, AbcSound, Event, Rests
from melody.formats.abc.music import Bar

MAX_PARTS = 1_000


class Stretch(NamedTuple):
    """Events to be played in a row, and in which pass of a repeat, from 1."""

    start: int
    stop: int
    number: int


@dataclass
class _Ending:
    passes: tuple[int, ...]
    start: int
    stop: int = -1


@dataclass
class _Section:
    """Events that are repeated together, or once."""

    start: int
    is_open: bool = False  # it began with |: and so goes through double bars
    times: int = 1
    body_stop: int = -1
    endings: list[_Ending] = field(default_factory=list)

    def end(self, at: int) -> "_Section":
        """The section with its end."""
        if self.endings and self.endings[-1].stop < 0:
            self.endings[-1].stop = at
        if self.body_stop < 0:
            self.body_stop = at
        return self

    def stretches(self) -> Iterator[Stretch]:
        """All passes in order."""
        last = max([self.times, *(number for ending in self.endings for number in ending.passes)])
        for number in range(1, last + 1):
            yield Stretch(self.start, self.body_stop, number)
            for ending in self.endings:
                if number in ending.passes:
                    yield Stretch(ending.start, ending.stop, number)


def stretches(events: Sequence[Event], parts: Sequence[str]) -> Iterator[Stretch]:
    """Yield what is played, in order; `parts` is the order of parts, empty for that in which they stand."""
    marks = [(i, event.letter) for i, event in enumerate(events) if isinstance(event, AbcPart)] if parts else []
    if not marks:
        yield from _in_order(events, 0, len(events))
        return
    ends = [*(i for i, _ in marks[1:]), len(events)]
    places: dict[str, tuple[int, int]] = {}
    for (start, letter), stop in zip(marks, ends, strict=True):
        places.setdefault(letter, (start, stop))
    yield from _in_order(events, 0, marks[0][0])
    for letter in parts:
        if letter in places:
            yield from _in_order(events, *places[letter])


def _in_order(events: Sequence[Event], first: int, stop: int) -> Iterator[Stretch]:
    for section in _sections(events, first, stop):
        yield from section.stretches()


def _sections(events: Sequence[Event], first: int, stop: int) -> Iterator[_Section]:
    section = _Section(first)
    for index in range(first, stop):
        bar, after = events[index], index + 1
        if not isinstance(bar, Bar):
            continue
        goes_on = _goes_on(section, bar.endings or _next_endings(events, after, stop))
        if bar.close:
            section.times = max(section.times, bar.close + 1)
            section.end(after)
            if goes_on:
                section.endings += [_Ending(bar.endings, after)] if bar.endings else []
                continue
            yield section
            section = _Section(after, bar.open > 0, bar.open if bar.open > 1 else 1)
        elif bar.endings:
            if section.endings and not goes_on:  # the endings of a next repeat, whose beginning nothing marks
                line = _first_bar(events, section.endings[-1].start, index)
                yield section.end(line)
                section = _Section(line)
            section.end(after).endings.append(_Ending(bar.endings, after))
        elif bar.open or (bar.is_double and not section.is_open and not goes_on):
            yield section.end(after)
            section = _Section(after, bar.open > 0, bar.open + 1 if bar.open > 1 else 1)
        elif bar.is_double and section.endings:
            section.end(after)
            if not goes_on:
                yield section
                section = _Section(after)
    yield section.end(stop)


def _goes_on(section: _Section, endings: tuple[int, ...]) -> bool:
    """Return if these endings belong to the section, as further ones."""
    used = {number for ending in section.endings for number in ending.passes}
    return bool(used and endings) and not used & set(endings)


def _next_endings(events: Sequence[Event], start: int, stop: int) -> tuple[int, ...]:
    """The endings that begin before any music does."""
    for index in range(start, stop):
        event = events[index]
        if isinstance(event, AbcSound | Rests):
            break
        if isinstance(event, Bar):
            return event.endings
    return ()


def _first_bar(events: Sequence[Event], start: int, stop: int) -> int:
    """The index behind the first bar line after `start` with music before it, at most `stop`."""
    has_music = False
    for index in range(start, stop):
        has_music |= isinstance(events[index], AbcSound | Rests)
        if has_music and isinstance(events[index], Bar):
            return index + 1
    return stop


def order_of_parts(text: str) -> list[str] | None:
    """The parts in the order in which they are played, A(BC)2 as A B C B C; None past `MAX_PARTS` (3.1.9)."""
    stack: list[list[str]] = [[]]
    last: list[str] = []  # what a number repeats
    for token in re.findall(r"[A-Za-z]|\(|\)|\d+", text):
        if token == "(":
            stack.append([])
            last = []
        elif token == ")" and len(stack) > 1:
            last = stack.pop()
            stack[-1] += last
        elif token.isdigit():
            stack[-1] += last * min(max(0, int(token[:5]) - 1), MAX_PARTS)
        elif token.isalpha():
            last = [token]
            stack[-1] += last
        if sum(map(len, stack)) > MAX_PARTS or len(stack) > 100:
            return None
    return [part for level in stack for part in level]

"""Elements of a MusicXML document, one measure of one part at a time, and the numbers in them; all of it bounded.

Only what stands where MusicXML has it counts: a measure inside a measure is no measure. The limits hold for the whole
document, whatever it is divided into.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.midi.track import Repairs
from melody.music.score import MAX_BARS

MAX_ELEMENTS = 800_000  # 40,000 notes as notation programs write them have 500,000
MAX_MEASURES = 40_000  # of all parts together
MAX_NOTES = 40_000  # of all parts together; a movement of a symphony has fewer
MAX_SIGNS = 60_000  # syllables, words, chord symbols, tempos and keys
MAX_LETTERS = 1_000_000  # of names, words and syllables together
_PLACE_BYTES, _PLACE_ELEMENTS = 4 << 20, 100_000  # of the header's parts, or of a measure
_STEP_BYTES = 1 << 16
_LONGEST = 4 * MAX_BARS  # quarters, of the piece and of anything in it
_FINEST = 1 << 40  # the smallest common unit of all times, in parts of a quarter
_DEPTH = 3  # of a measure of a part
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}(?:\.\d{0,9})?\s*\Z")


class DocumentPlace(NamedTuple):
    """An element that has ended: one of the header's, or a measure of the part with this identity."""

    element: Element
    part: str | None


class DocumentBudget:
    """Use that a document has made of its limits; each method raises `LimitExceeded` past them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.elements = self.measures = self.notes = self.signs = self.letters = 0
        self._unit = 1

    def add_elements(self, count: int) -> None:
        """Count elements."""
        self.elements += count
        if self.elements > MAX_ELEMENTS:
            raise self._over(f"over {MAX_ELEMENTS:,} elements")

    def add_measure(self) -> None:
        """Count a measure of a part."""
        self.measures += 1
        if self.measures > MAX_MEASURES:
            raise self._over(f"over {MAX_MEASURES:,} measures in its parts")

    def add_notes(self, count: int = 1) -> None:
        """Count notes."""
        self.notes += count
        if self.notes > MAX_NOTES:
            raise self._over(f"over {MAX_NOTES:,} notes")

    def add_signs(self, count: int) -> None:
        """Count syllables, words, chord symbols, tempos and keys."""
        self.signs += count
        if self.signs > MAX_SIGNS:
            raise self._over(f"over {MAX_SIGNS:,} syllables, words, chord symbols, tempos and keys")

    def add_letters(self, count: int) -> None:
        """Count letters of texts."""
        self.letters += count
        if self.letters > MAX_LETTERS:
            raise self._over(f"over {MAX_LETTERS:,} letters of text")

    def add_time(self, quarters: Fraction) -> None:
        """Note a time: sums of times without a common unit would be fractions of any length."""
        if self._unit % quarters.denominator:
            self._unit = lcm(self._unit, quarters.denominator)
            if self._unit > _FINEST:
                raise LimitExceeded(
                    f"{self.name}: its divisions of the quarter have no common multiple; melody reads those with one "
                    f"up to {_FINEST:,}; export it again"
                )

    def check_length(self, quarters: Fraction) -> None:
        """Refuse what is longer than any piece."""
        if quarters > _LONGEST:
            raise LimitExceeded(f"{self.name}: {int(quarters):,} quarters; melody reads up to {_LONGEST:,}; cut it")

    def _over(self, what: str) -> LimitExceeded:
        return LimitExceeded(f"{self.name}: {what}, all that melody reads; cut the piece or leave parts out")


def places(data: bytes, budget: DocumentBudget, repairs: Repairs) -> Iterator[DocumentPlace]:
    """Yield the elements of the header and the measures, in order; a document that is cut off ends with its last one.

    Raises `UnreadableFile` where it is no MusicXML, and `LimitExceeded`.
    """
    walk = _DocumentWalk(budget)
    try:
        yield from walk.through(data)
    except ParseError as error:
        reason = " ".join(str(error).split())
        repairs.add("a document that is cut off or damaged; kept what came before", reason)
        if not walk.inner:
            raise UnreadableFile(f"{budget.name}: not readable as MusicXML ({reason}); export it again") from error


class _DocumentWalk:
    """A walk through a document, step by step: the whole tree of a large one would fill the memory."""

    def __init__(self, budget: DocumentBudget) -> None:
        self.budget = budget
        self.path: list[Element] = []  # the outer levels
        self.outer = self.inner = ""  # what a measure of a part stands in, and what it is called
        self._here = 0  # elements since the last place
        self._began = 0  # byte of the present place, to a step

    def through(self, data: bytes) -> Iterator[DocumentPlace]:
        """Yield the places; what lies deeper is only counted."""
        depth = count = 0
        for stop, events in _steps(data):
            for event, element in events:
                if event == "start":
                    depth += 1
                    count += 1
                    if depth <= _DEPTH:
                        self._enter(element)
                    continue
                depth -= 1
                if depth < _DEPTH and (place := self._leave(element)) is not None:
                    count = self._count(count, stop)
                    yield place
                    del self.path[-1][:]  # what has been read
                    self._here, self._began = 0, stop
            count = self._count(count, stop)

    def _enter(self, element: Element) -> None:
        if not self.path:
            kinds = {"score-partwise": ("part", "measure"), "score-timewise": ("measure", "part")}
            if element.tag not in kinds:
                shown = ascii(element.tag)[1:41]
                raise UnreadableFile(
                    f"{self.budget.name}: not readable as MusicXML (its root is {shown}); export it as MusicXML"
                )
            self.outer, self.inner = kinds[element.tag]
        self.path.append(element)

    def _leave(self, element: Element) -> DocumentPlace | None:
        """Leave an element of the outer levels; return its place where it is one."""
        self.path.pop()
        if len(self.path) == _DEPTH - 1 and self.path[1].tag == self.outer and element.tag == self.inner:
            return DocumentPlace(element, (element if self.inner == "part" else self.path[1]).get("id", ""))
        return DocumentPlace(element, None) if len(self.path) == 1 else None

    def _count(self, elements: int, stop: int) -> int:
        """Count elements in the present place and the whole; return 0. Raises `LimitExceeded`."""
        self._here += elements
        self.budget.add_elements(elements)
        if self._here > _PLACE_ELEMENTS or stop - self._began > _PLACE_BYTES:
            raise LimitExceeded(
                f"{self.budget.name}: over {_PLACE_ELEMENTS:,} elements or {_PLACE_BYTES:,} bytes in one place; "
                "it is no music"
            )
        return 0


def _steps(data: bytes) -> Iterator[tuple[int, Iterator[tuple[str, Element]]]]:
    """Yield (bytes read, starts and ends of elements) of a document, a step at a time. Raises `ParseError`."""
    parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
    for start in range(0, len(data), _STEP_BYTES):
        try:
            parser.feed(data[start : start + _STEP_BYTES])
        except (LookupError, ValueError) as error:  # of a declared encoding that it does not know
            raise ParseError(str(error)) from error
        yield start + _STEP_BYTES, parser.read_events()  # type: ignore[misc]
    parser.close()
    yield len(data), parser.read_events()  # type: ignore[misc]


# ---- numbers ---------------------------------------------------------------------------------------------------------


@lru_cache(4096)  # a piece has few different ones
def number(text: str | None) -> Fraction | None:
    """Return the number that a text holds; None where it holds none, or one of too many digits."""
    return Fraction(text.strip()) if text is not None and _NUMBER.match(text) else None


def integer(text: str | None) -> int | None:
    """Return the whole number that a text holds, or None."""
    found = number(text)
    return int(found) if found is not None and found.denominator == 1 else None

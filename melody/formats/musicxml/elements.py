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

MAX_ELEMENTS = 1_000_000  # a second and a half; 40,000 notes as notation programs write them have half as many
MAX_MEASURES = 40_000  # of all parts together
MAX_NOTES = 40_000  # of all parts together; a movement of a symphony has fewer
_PLACE_BYTES, _PLACE_ELEMENTS = 4 << 20, 100_000  # of the header's parts, or of a measure
_STEP_BYTES = 1 << 16
_LONGEST = 4 * MAX_BARS  # quarters, of the piece and of anything in it
_FINEST = 1 << 40  # the smallest common unit of all times, in parts of a quarter
_PARTWISE, _TIMEWISE = {"score-partwise": ("part", "measure")}, {"score-timewise": ("measure", "part")}
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}(?:\.\d{0,9})?\s*\Z")


class Place(NamedTuple):
    """An element that has ended: one of the header's, or a measure of the part with this identity."""

    element: Element
    part: str | None


class Budget:
    """What a document has used of its limits; each method raises `LimitExceeded` past them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.elements = self.measures = self.notes = 0
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

    def crowded(self) -> LimitExceeded:
        """Return the error of too much in one measure, or one element of the header."""
        return LimitExceeded(
            f"{self.name}: over {_PLACE_ELEMENTS:,} elements or {_PLACE_BYTES:,} bytes in one place; it is no music"
        )

    def _over(self, what: str) -> LimitExceeded:
        return LimitExceeded(f"{self.name}: {what}, all that melody reads; cut the piece or leave parts out")


def places(data: bytes, budget: Budget, repairs: Repairs) -> Iterator[Place]:
    """Yield the elements of the header and the measures, in order; a document that is cut off ends with its last one.

    Raises `UnreadableFile` where it is no MusicXML, and `LimitExceeded`.
    """
    walk = _Walk(budget)
    try:
        for read_bytes, event, element in _events(data, budget):
            if event == "start":
                walk.start(element, read_bytes)
            elif (place := walk.end(element, read_bytes)) is not None:
                yield place
                walk.forget()
    except ParseError as error:
        reason = " ".join(str(error).split())
        repairs.add("a document that is cut off or damaged; kept what came before", reason)
        if not walk.inner:
            raise UnreadableFile(f"{budget.name}: not readable as MusicXML ({reason}); export it again") from error


class _Walk:
    """Where the reading of the document stands."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.path: list[Element] = []
        self.outer = self.inner = ""  # of a measure of a part
        self._elements = self._bytes = 0  # at the beginning of the present place

    def start(self, element: Element, read_bytes: int) -> None:
        """Enter an element."""
        if not self.path:
            self.outer, self.inner = self._kind(element)
        self.path.append(element)
        self.budget.add_elements(1)
        if self.budget.elements - self._elements > _PLACE_ELEMENTS or read_bytes - self._bytes > _PLACE_BYTES:
            raise self.budget.crowded()

    def _kind(self, root: Element) -> tuple[str, str]:
        names = (_PARTWISE | _TIMEWISE).get(root.tag)
        if names is None:
            shown = ascii(root.tag)[1:41]
            raise UnreadableFile(
                f"{self.budget.name}: not readable as MusicXML (its root is {shown}); export it as MusicXML"
            )
        return names

    def end(self, element: Element, read_bytes: int) -> Place | None:
        """Leave an element; return its place where it is one."""
        self.path.pop()
        place = None
        if len(self.path) == 2 and self.path[1].tag == self.outer and element.tag == self.inner:
            place = Place(element, (element if self.inner == "part" else self.path[1]).get("id", ""))
        elif len(self.path) == 1:
            place = Place(element, None)
        if place:
            self._elements, self._bytes = self.budget.elements, read_bytes
        return place

    def forget(self) -> None:
        """Free what has been read."""
        del self.path[-1][:]


def _events(data: bytes, budget: Budget) -> Iterator[tuple[int, str, Element]]:
    """Yield (bytes read, "start" or "end", element): the whole tree of a large document would fill the memory."""
    parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
    last = 0
    for start in range(0, len(data), _STEP_BYTES):
        parser.feed(data[start : start + _STEP_BYTES])
        read = start + _STEP_BYTES
        for event, element in parser.read_events():  # type: ignore[misc]
            last = read
            yield read, event, element  # type: ignore[misc]
        if read - last > _PLACE_BYTES:
            raise budget.crowded()
    parser.close()
    for event, element in parser.read_events():  # type: ignore[misc]
        yield len(data), event, element  # type: ignore[misc]


# ---- numbers ---------------------------------------------------------------------------------------------------------


@lru_cache(4096)  # a piece has few different ones
def number(text: str | None) -> Fraction | None:
    """Return the number that a text holds; None where it holds none, or one of too many digits."""
    return Fraction(text.strip()) if text is not None and _NUMBER.match(text) else None


def integer(text: str | None) -> int | None:
    """Return the whole number that a text holds, or None."""
    found = number(text)
    return int(found) if found is not None and found.denominator == 1 else None

"""The symbols on each staff of a page that verovio engraved, from left to right, read off its SVG and MEI."""

import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

from melody.learning.page_reader.varied import ID, MEI
from melody.senses.page.symbols import INDEX

SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"
CLEFS = {"E050": "G2", "E052": "G2_8vb", "E062": "F4"}
C_CLEFS = {4: "C3", 6: "C4"}  # by the place of its middle
KEYS = {"E262": 1, "E260": -1, "E261": 0}
ACCIDENTALS = {"E262": "s", "E260": "f", "E261": "n", "E263": "x", "E264": "ff"}
DIGITS = {f"E08{digit}": str(digit) for digit in range(10)} | {"E08A": "C", "E08B": "C|"}


class LabelledStaff(NamedTuple):
    """A staff in the units of the SVG inside of its page margin, and its symbols."""

    left: float
    right: float
    top: float
    bottom: float
    space: float
    page_width: float
    symbols: list[str]
    places: list[float]  # where each symbol begins, from the left

    def moved(self, dx: float, dy: float) -> "LabelledStaff":
        """Return it elsewhere."""
        top, bottom = self.top + dy, self.bottom + dy
        return self._replace(left=self.left + dx, right=self.right + dx, top=top, bottom=bottom)


class EngravedMark(NamedTuple):
    """A symbol and where it stands."""

    x: float
    order: int
    symbol: str


def labelled_staves(svg: str, mei: str) -> list[LabelledStaff]:
    """Return the staves of a page; those with something that the page reader has no symbol for are left out."""
    root, music = ET.fromstring(svg), ET.fromstring(mei)
    elements = {element.get(ID): element for element in music.iter() if element.get(ID)}
    ties: set[str | None] = {tie.get("startid", "#")[1:] for tie in music.iter(f"{{{MEI}}}tie")}
    ties |= {note.get(ID) for note in music.iter(f"{{{MEI}}}note") if note.get("tie") in ("i", "m")}
    inner = next(e for e in root.iter(f"{{{SVG}}}svg") if e.get("class") == "definition-scale")
    width = float(inner.get("viewBox", "0 0 1 1").split()[2])
    margin = next(e for e in root.iter(f"{{{SVG}}}g") if e.get("class") == "page-margin")
    shift = [float(v) for v in re.findall(r"-?[\d.]+", margin.get("transform", "translate(0, 0)"))]
    found = []
    for system in root.iter(f"{{{SVG}}}g"):
        if system.get("class") == "system":
            staff = _staff(system, elements, ties)
            if staff is not None and all(symbol in INDEX for symbol in staff.symbols):
                found.append(staff.moved(*shift)._replace(page_width=width))
    return found


def _staff(system: ET.Element, elements: dict[str | None, ET.Element], ties: set[str | None]) -> LabelledStaff | None:
    lines = [
        [float(v) for v in re.findall(r"-?[\d.]+", path.get("d", ""))]
        for staff in _all(system, "staff")
        for path in staff.findall(f"{{{SVG}}}path")
    ]
    if not lines:
        return None
    ys = sorted({line[1] for line in lines})
    if len(ys) != 5:
        return None
    left, right = min(line[0] for line in lines), max(line[2] for line in lines)
    space = (ys[-1] - ys[0]) / 4
    marks: list[EngravedMark] = []
    for group in system.iter(f"{{{SVG}}}g"):
        marks += _marks(group, elements, ties, ys[-1], space)
    marks.sort()
    symbols, places = [mark.symbol for mark in marks], [mark.x - left for mark in marks]
    return LabelledStaff(left, right, ys[0], ys[-1], space, 0.0, symbols, places)


def _all(element: ET.Element, kind: str) -> list[ET.Element]:
    return [g for g in element.iter(f"{{{SVG}}}g") if g.get("class", "").split(" ")[0] == kind]


def _glyphs(group: ET.Element) -> list[tuple[str, float, float]]:
    """Return code, x and y of the glyphs in a group."""
    found = []
    for use in group.iter(f"{{{SVG}}}use"):
        x, y = [float(v) for v in re.findall(r"-?[\d.]+", use.get("transform", ""))][:2]
        found.append((use.get(HREF, "#")[1:5], x, y))
    return found


def _marks(
    group: ET.Element, elements: dict[str | None, ET.Element], ties: set[str | None], bottom: float, space: float
) -> list[EngravedMark]:
    kind = group.get("class", "").split(" ")[0]
    glyphs = _glyphs(group) if kind in ("clef", "keySig", "meterSig", "note", "rest", "mRest") else []
    if kind == "barLine":
        return _bar_line(group)
    if kind == "tuplet":
        return _tuplet(group)
    if not glyphs:
        return []
    code, x, y = glyphs[0]
    if kind == "clef":
        clef = CLEFS.get(code) or C_CLEFS.get(round(2 * (bottom - y) / space), "?")
        return [EngravedMark(x, 0, f"clef.{clef}")]
    if kind == "keySig":
        return [EngravedMark(x, 1, f"key.{sum(KEYS.get(c, 99) for c, _, _ in glyphs)}")]
    if kind == "meterSig":
        return [EngravedMark(x, 2, f"meter.{_meter(glyphs)}")]
    element = elements.get(group.get("id"))
    if kind == "mRest":
        return [EngravedMark(x, 5, "rest.1")]
    if element is None:
        return []
    dots = _dots(group, x)
    if kind == "rest":
        return [EngravedMark(x, 5, f"rest.{element.get('dur')}"), *(EngravedMark(d, 6, "dot") for d in dots)]
    return _note(group, element, ties, bottom, space)


def _note(
    group: ET.Element, element: ET.Element, ties: set[str | None], bottom: float, space: float
) -> list[EngravedMark]:
    heads = [g for head in _all(group, "notehead") for g in _glyphs(head)]
    if not heads:
        return []
    _, x, y = heads[0]
    place = round(2 * (bottom - y) / space)
    marks = [EngravedMark(x, 5, f"note.{element.get('dur')}.{place}")]
    dots = _dots(group, x)
    marks += [EngravedMark(d, 6, "dot") for d in dots]
    for accidental in _all(group, "accid"):
        marks += [EngravedMark(ax, 4, f"acc.{ACCIDENTALS.get(code, '?')}") for code, ax, _ in _glyphs(accidental)]
    if group.get("id") in ties:
        marks.append(EngravedMark(max([x, *dots]) + space, 7, "tie"))
    return marks


def _dots(group: ET.Element, x: float) -> list[float]:
    return [float(e.get("cx", x)) for dots in _all(group, "dots") for e in dots.iter(f"{{{SVG}}}ellipse")]


def _meter(glyphs: list[tuple[str, float, float]]) -> str:
    if len(glyphs) == 1:
        return DIGITS.get(glyphs[0][0], "?")
    top = min(y for _, _, y in glyphs)
    rows: tuple[list[str], list[str]] = ([], [])
    for code, _, y in sorted(glyphs, key=lambda glyph: glyph[1]):
        rows[y > top + 1].append(DIGITS.get(code, "?"))
    return f"{''.join(rows[0])}/{''.join(rows[1])}"


def _tuplet(group: ET.Element) -> list[EngravedMark]:
    """Return the mark of a triplet, before its first note and what belongs to that."""
    numbers = [code for number in _all(group, "tupletNum") for code, _, _ in _glyphs(number)]
    notes = [x for note in _all(group, "note")[:1] for _, x, _ in _glyphs(note)] or [
        x for rest in _all(group, "rest")[:1] for _, x, _ in _glyphs(rest)
    ]
    if not numbers or not notes:
        return [EngravedMark(0.0, 3, "?")]
    return [EngravedMark(min(notes) - 1, 3, "triplet" if numbers == ["E883"] else "?")]


def _bar_line(group: ET.Element) -> list[EngravedMark]:
    lines = []
    for path in group.findall(f"{{{SVG}}}path"):
        x = float(re.findall(r"-?[\d.]+", path.get("d", ""))[0])
        lines.append((x, float(path.get("stroke-width", "1"))))
    if not lines:
        return []
    lines.sort()
    dots = [x for code, x, _ in _glyphs(group) if code == "E044"]
    before, after = any(x < lines[0][0] for x in dots), any(x > lines[-1][0] for x in dots)
    if before or after:
        kind = "bar.both" if before and after else "bar.end" if before else "bar.start"
    elif len(lines) == 1:
        kind = "bar"
    else:
        kind = "bar.final" if lines[-1][1] > 1.5 * lines[0][1] else "bar.double"
    return [EngravedMark(lines[0][0], 8, kind)]

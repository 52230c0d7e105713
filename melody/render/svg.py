"""The piano roll as SVG, for a page that plays: one drawing a system, a group a track, a shape a note.

`roll` says what is drawn; lengths here are hundredths of an inch. Colours are classes, which a style sheet fills in for
light and dark: `hue` with `c0` to `c7` for tracks, `v1` to `v8` for loudness, and the names of what is drawn. A time
lies at one share of a drawing's width (`System`), so that a cursor can follow it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from melody.formats.colours import PALETTE
from melody.render.page import SYSTEM_WIDTH, Page
from melody.render.roll import RollPanel, Shapes, panels
from melody.storage.display import escaped

UNIT = 100  # of an inch
LABELS = {False: 30, True: 100}  # room at the left, by whether drum names stand there
RIGHT = 4
LOUDNESSES = 8
DIGIT, SPACE = 7, 5  # of what stands over a bar line


@dataclass(frozen=True)
class System:
    """A row of bars: its drawing, the ticks of its first and last line and where in its width they lie, 0 to 1."""

    svg: str
    start: int
    stop: int
    left: float
    right: float


@dataclass(frozen=True)
class _Place:
    """The places of a panel's ticks and rows in the drawing."""

    panel: RollPanel

    @property
    def top(self) -> float:
        return self.panel.top * UNIT

    @property
    def bottom(self) -> float:
        return (self.panel.top + self.panel.height) * UNIT

    @property
    def row_height(self) -> float:
        low, high = self.panel.rows
        return self.panel.height * UNIT / (high - low)

    def x(self, tick: float) -> float:
        """Return the place of a tick, at the edge for one outside."""
        page, inside = self.panel.page, min(max(tick, self.panel.start), self.panel.stop)
        return LABELS[bool(page.drums)] + (inside - self.panel.start) * UNIT / page.ticks_an_inch

    def y(self, row: float) -> float:
        """Return the height of a row's middle."""
        return self.bottom - (row - self.panel.rows[0] + 0.5) * self.row_height


def systems_of(page: Page) -> list[System]:
    """Return the systems of a piano roll."""
    return [_system(page, first, last) for first, last in page.systems]


def _system(page: Page, first: int, last: int) -> System:
    places = [_Place(panel) for panel in panels(page, first, last)]
    width = LABELS[bool(page.drums)] + SYSTEM_WIDTH[bool(page.drums)] * UNIT + RIGHT
    body = [shape for place in places for shape in _panel(place)]
    body += [*_labels(places[0]), *_given_labels(places[-1])]
    svg = f'<svg viewBox="0 0 {width:g} {page.system_height * UNIT:.4g}" aria-hidden="true">{"".join(body)}</svg>'
    panel = places[0].panel
    return System(svg, panel.start, panel.stop, places[0].x(panel.start) / width, places[0].x(panel.stop) / width)


def _panel(place: _Place) -> Iterator[str]:
    """Everything within the frame of a panel, from the ground up, and the frame."""
    panel, top, bottom = place.panel, place.top, place.bottom
    left, right = place.x(panel.start), place.x(panel.stop)
    yield _rect("ground", left, top, right - left, bottom - top)
    for begin, end in panel.given():
        yield _rect("given", place.x(begin), top, place.x(end) - place.x(begin), bottom - top)
    for row in panel.dark_rows():
        yield _rect("black", left, place.y(row) - place.row_height / 2, right - left, place.row_height)
    for row, name in panel.named_rows():
        if not panel.is_drums:
            yield _line("bar", left, place.y(row - 0.5), right, place.y(row - 0.5))
        yield _text("row", left - 5, place.y(row) + 3.5, name)
    for kind, ticks in (("beat", panel.beats()), ("bar", panel.bar_lines())):
        yield from (_line(kind, place.x(tick), top, place.x(tick), bottom) for tick in ticks)
    for index, _, shapes in panel.parts():
        notes = "".join(_notes(place, shapes))
        yield f'<g class="hue c{index % len(PALETTE)}" data-track="{index}">{notes}</g>'
    yield _rect("frame", left, top, right - left, bottom - top)


def _rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.5g}" y="{y:.5g}" width="{width:.5g}" height="{height:.4g}"/>'


def _text(name: str, x: float, y: float, text: str) -> str:
    return f'<text class="{name}" x="{x:.5g}" y="{y:.5g}">{escaped(text)}</text>'


def _line(name: str, x: float, y: float, right: float, bottom: float) -> str:
    return f'<path class="{name}" d="M{x:.5g} {y:.5g}L{right:.5g} {bottom:.5g}"/>'


def _notes(place: _Place, shapes: Shapes) -> Iterator[str]:
    loudness = 1 + np.clip(shapes.velocity, 0, 127) * LOUDNESSES // 128
    half = shapes.half * place.row_height
    for begin, end, row, level in zip(shapes.begin, shapes.end, shapes.row, loudness, strict=True):
        x = place.x(begin)
        yield _rect(f"v{level}", x, place.y(row) - half, place.x(end) - x, 2 * half)


def _labels(place: _Place) -> Iterator[str]:
    """Write the words over the bar lines, and tempos above them."""
    for tick, *words in place.panel.labels():
        x = place.x(tick)
        for kind, word in zip(("number", "meter", "letter"), words, strict=True):
            if word:
                yield _text(kind, x, place.top - 6, word)
                x += DIGIT * len(word) + SPACE
    for tick, text in place.panel.tempos():
        yield _text("tempo", place.x(tick), place.top - 23, text)


def _given_labels(place: _Place) -> Iterator[str]:
    for begin, end in place.panel.given():
        yield _line("primer", place.x(begin), place.bottom, place.x(end), place.bottom)
        yield _text("primer-name", place.x(begin), place.bottom + 14, "primer")

"""The piano roll of `pianoroll` as SVG, for a page that plays: one drawing a system, a group a track, a shape a note.

`page` decides what stands where, as for the PNG; lengths here are hundredths of an inch. Colours are classes, which a
style sheet fills in for light and dark: `hue` with `c0` to `c7` for tracks, `v1` to `v8` for loudness, and the names of
what is drawn. A time lies at one share of a drawing's width (`System`), so that a cursor can follow it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from melody.formats.colours import PALETTE
from melody.music.general_midi import drum_name
from melody.music.score import meters
from melody.render.page import ABOVE, BARS_A_SYSTEM, BETWEEN, SYSTEM_WIDTH, Page, RollPart
from melody.render.pianoroll import BLACK_KEYS, beat_ticks, tempo_marks
from melody.storage.display import escaped

UNIT = 100  # of an inch
LABELS = {False: 30, True: 100}  # room at the left, by whether drum names stand there
RIGHT = 4
LOUDNESSES = 8


@dataclass(frozen=True)
class System:
    """A row of bars: its drawing, the ticks of its first and last line and where in its width they lie, 0 to 1."""

    svg: str
    start: int
    stop: int
    left: float
    right: float


@dataclass(frozen=True)
class _Panel:
    """The rows of the pitches, or of the drums, in a system."""

    page: Page
    drums: bool
    start: int  # ticks
    stop: int
    top: float
    height: float

    def x(self, tick: float) -> float:
        return LABELS[bool(self.page.drums)] + (min(max(tick, self.start), self.stop) - self.start) * _scale(self.page)

    def y(self, row: float) -> float:
        """Return the height of a pitch, or of the place of a drum."""
        low, count = (0, len(self.page.drums)) if self.drums else (self.page.low, self.page.high - self.page.low)
        return self.top + self.height * (1 - (row - low + 0.5) / count)

    @property
    def row_height(self) -> float:
        return self.height / (len(self.page.drums) if self.drums else self.page.high - self.page.low)


def systems_of(page: Page) -> list[System]:
    """The systems of a piano roll."""
    return [_system(page, first, last) for first, last in page.systems]


def _scale(page: Page) -> float:
    return UNIT / page.ticks_an_inch


def _width(page: Page) -> float:
    has_drums = bool(page.drums)
    return LABELS[has_drums] + SYSTEM_WIDTH[has_drums] * UNIT + RIGHT


def _system(page: Page, first: int, last: int) -> System:
    start, stop = int(page.lines[first]), int(page.lines[last])
    panels = list(_panels(page, start, stop))
    width, height = _width(page), page.system_height * UNIT
    body = [shape for panel in panels for shape in _panel(panel, first, last)]
    body += [*_numbers(panels[0], first, last), *_tempos(panels[0]), *_given_labels(panels[-1])]
    svg = f'<svg viewBox="0 0 {width:g} {height:.4g}" aria-hidden="true">{"".join(body)}</svg>'
    return System(svg, start, stop, panels[0].x(start) / width, panels[0].x(stop) / width)


def _panels(page: Page, start: int, stop: int) -> Iterator[_Panel]:
    top = ABOVE
    for height, drums in ((page.pitched_height, False), (page.drum_height, True)):
        if height:
            yield _Panel(page, drums, start, stop, top * UNIT, height * UNIT)
            top += height + BETWEEN


def _panel(panel: _Panel, first: int, last: int) -> Iterator[str]:
    """Everything within the frame of a panel, from the ground up, and the frame."""
    page = panel.page
    left, width = panel.x(panel.start), panel.x(panel.stop) - panel.x(panel.start)
    yield _rect("ground", left, panel.top, width, panel.height)
    for begin, end in _given_within(panel):
        yield _rect("given", panel.x(begin), panel.top, panel.x(end) - panel.x(begin), panel.height)
    rows = range(0, len(page.drums), 2) if panel.drums else range(page.low, page.high)
    for row in rows:
        if panel.drums or row % 12 in BLACK_KEYS:
            yield _rect("black", left, panel.y(row) - panel.row_height / 2, width, panel.row_height)
    yield from _names(panel)
    yield from _bar_lines(panel, first, last)
    for index, part in enumerate(page.parts):
        if part.is_drum == panel.drums:
            yield f'<g class="hue c{index % len(PALETTE)}" data-track="{index}">{"".join(_notes(panel, part))}</g>'
    yield _rect("frame", left, panel.top, width, panel.height)


def _rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.5g}" y="{y:.5g}" width="{width:.5g}" height="{height:.4g}"/>'


def _text(name: str, x: float, y: float, text: str) -> str:
    return f'<text class="{name}" x="{x:.5g}" y="{y:.5g}">{escaped(text)}</text>'


def _line(name: str, x: float, y: float, right: float, bottom: float) -> str:
    return f'<path class="{name}" d="M{x:.5g} {y:.5g}L{right:.5g} {bottom:.5g}"/>'


def _names(panel: _Panel) -> Iterator[str]:
    """The Cs, with a line under each; or the drums."""
    left, right = panel.x(panel.start), panel.x(panel.stop)
    if panel.drums:
        for row, pitch in enumerate(panel.page.drums):
            yield _text("row", left - 5, panel.y(row) + 3.5, drum_name(pitch))
        return
    for pitch in range(-panel.page.low // 12 * -12, panel.page.high, 12):
        yield _line("bar", left, panel.y(pitch - 0.5), right, panel.y(pitch - 0.5))
        yield _text("row", left - 5, panel.y(pitch) + 3.5, f"C{pitch // 12 - 1}")


def _bar_lines(panel: _Panel, first: int, last: int) -> Iterator[str]:
    lines = panel.page.lines[first : last + 1]
    top, bottom = panel.top, panel.top + panel.height
    if last - first <= 2 * BARS_A_SYSTEM:
        beats = [beat for beat in beat_ticks(panel.page.score, panel.page.lines) if panel.start < beat < panel.stop]
        yield from (_line("beat", panel.x(beat), top, panel.x(beat), bottom) for beat in np.setdiff1d(beats, lines))
    yield from (_line("bar", panel.x(line), top, panel.x(line), bottom) for line in lines[1:-1])


def _notes(panel: _Panel, part: RollPart) -> Iterator[str]:
    """A shape for each note, or for as much of it as lies in this system."""
    page, notes = panel.page, part.notes
    hairline = 2 * page.ticks_an_inch / UNIT  # the gap before a repeated note, and half of the shortest to be seen
    hit = max(page.score.tpq / 8, page.ticks_an_inch * 0.045)  # a drum has no length worth drawing
    ends = notes.onset + (hit if part.is_drum else np.maximum(notes.duration - hairline, hairline))
    inside = (notes.onset < panel.stop) & (ends > panel.start)
    rows = np.searchsorted(page.drums, notes.pitch) if part.is_drum else notes.pitch
    loudness = 1 + np.clip(notes.velocity, 0, 127) * LOUDNESSES // 128
    half = panel.row_height * (0.36 if part.is_drum else 0.42)
    for onset, end, row, level in zip(notes.onset[inside], ends[inside], rows[inside], loudness[inside], strict=True):
        x = panel.x(onset)
        yield _rect(f"v{level}", x, panel.y(row) - half, panel.x(end) - x, 2 * half)


def _numbers(panel: _Panel, first: int, last: int) -> Iterator[str]:
    """The bars' numbers over their lines, all unless they would touch, beside them changes of meter and letters."""
    page = panel.page
    every = -(-(last - first) // (2 * BARS_A_SYSTEM))
    changes = {tick: f"{numerator}/{denominator}" for tick, numerator, denominator in meters(page.score)}
    for bar in range(first, last):
        tick, number = int(page.lines[bar]), str(bar + 1)
        meter = changes.get(tick, "")
        if meter and every * (page.lines[bar + 1] - tick) / page.ticks_an_inch < 0.12 * len(number + meter):
            number = ""  # a pickup is too short for both
        if meter or (bar - first) % every == 0:
            yield _text("number", panel.x(tick), panel.top - 6, number)
        if meter:
            yield _text("meter", panel.x(tick) + 7 * len(number) + 5 * bool(number), panel.top - 6, meter)
        if letter := page.letters.get(bar):
            beside = 7 * len(number) + 5 + (7 * len(meter) + 5) * bool(meter)
            yield _text("letter", panel.x(tick) + beside, panel.top - 6, letter)


def _tempos(panel: _Panel) -> Iterator[str]:
    """Tempos where they change; of a curve, as many as there is room for."""
    free = float(panel.start)
    for tick, text in tempo_marks(panel.page.score):
        if free <= tick < panel.stop:
            yield _text("tempo", panel.x(tick), panel.top - 23, text)
            free = tick + (0.15 + 0.08 * len(text)) * panel.page.ticks_an_inch


def _given_within(panel: _Panel) -> list[tuple[int, int]]:
    """The stretches of a system in which the musician's music lies."""
    cut = [(max(begin, panel.start), min(end, panel.stop)) for begin, end in panel.page.given]
    return [(begin, end) for begin, end in cut if begin < end]


def _given_labels(panel: _Panel) -> Iterator[str]:
    bottom = panel.top + panel.height
    for begin, end in _given_within(panel):
        yield _line("primer", panel.x(begin), bottom, panel.x(end), bottom)
        yield _text("primer-name", panel.x(begin), bottom + 14, "primer")

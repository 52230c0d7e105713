"""The piano roll as shapes: for each panel of a system all that is drawn there, in ticks and rows.

`page` decides where systems and panels stand; a row is a pitch, or the place of a drum. `pianoroll` paints the shapes
as a picture, `svg` as a drawing for pages: whatever they show comes from here, so that both show the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.music.general_midi import drum_name
from melody.music.score import Score, meters
from melody.render.page import ABOVE, BARS_A_SYSTEM, BETWEEN, Page, RollPart

BLACK_KEYS = (1, 3, 6, 8, 10)
HAIRLINE = 0.015  # inches: the gap before a repeated note, and the shortest note to be seen
SHORTEST_HIT = 0.045  # inches: a drum has no length worth drawing
LETTER = 0.08  # inches of a tempo's text


class Shapes(NamedTuple):
    """The notes of a track in a panel: their ends in ticks, rows, half of a note's height in rows, and velocities."""

    begin: NDArray[np.float64]  # (notes,)
    end: NDArray[np.float64]
    row: NDArray[np.int64]
    half: float
    velocity: NDArray[np.int64]


class BarLabel(NamedTuple):
    """The words over a bar line: its number, a new meter, the letter of a section; empty for what is not shown."""

    tick: int
    number: str
    meter: str
    letter: str


@dataclass(frozen=True)
class RollPanel:
    """The rows of the pitches, or of the drums, in a system. Inches from the top of the system."""

    page: Page
    is_drums: bool
    first: int  # bars, from 0
    last: int
    top: float
    height: float

    @property
    def start(self) -> int:
        """The tick of its first bar line."""
        return int(self.page.lines[self.first])

    @property
    def stop(self) -> int:
        """The tick of its last bar line."""
        return int(self.page.lines[self.last])

    @property
    def rows(self) -> tuple[int, int]:
        """The lowest row, and the one after the highest."""
        return (0, len(self.page.drums)) if self.is_drums else (self.page.low, self.page.high)

    def given(self) -> list[tuple[int, int]]:
        """Return the stretches in which the musician's music lies."""
        cut = [(max(begin, self.start), min(end, self.stop)) for begin, end in self.page.given]
        return [(begin, end) for begin, end in cut if begin < end]

    def dark_rows(self) -> list[int]:
        """Return the rows of black keys, or every other drum."""
        low, high = self.rows
        return [row for row in range(low, high) if (row % 2 == 0 if self.is_drums else row % 12 in BLACK_KEYS)]

    def named_rows(self) -> list[tuple[int, str]]:
        """Return rows with their names: the Cs, or the drums."""
        if self.is_drums:
            return [(row, drum_name(pitch)) for row, pitch in enumerate(self.page.drums)]
        return [(pitch, f"C{pitch // 12 - 1}") for pitch in range(*self.rows) if pitch % 12 == 0]

    def beats(self) -> list[int]:
        """Return the ticks of beats within bars; none where bars are too narrow."""
        if self.last - self.first > 2 * BARS_A_SYSTEM:
            return []
        lines = self.page.lines[self.first : self.last + 1]
        inside = [beat for beat in beat_ticks(self.page.score, self.page.lines) if self.start < beat < self.stop]
        return [int(beat) for beat in np.setdiff1d(inside, lines)]

    def bar_lines(self) -> list[int]:
        """Return the ticks of the bar lines inside of the panel."""
        return [int(line) for line in self.page.lines[self.first + 1 : self.last]]

    def parts(self) -> Iterator[tuple[int, RollPart, Shapes]]:
        """Yield each track of the panel with its number, and as much of its notes as lies in the system."""
        for index, part in enumerate(self.page.parts):
            if part.is_drum == self.is_drums:
                yield index, part, self._shapes(part)

    def _shapes(self, part: RollPart) -> Shapes:
        notes, inch = part.notes, self.page.ticks_an_inch
        if part.is_drum:
            ends = notes.onset + max(self.page.score.tpq / 8, SHORTEST_HIT * inch)
        else:
            ends = notes.onset + np.maximum(notes.duration - HAIRLINE * inch, HAIRLINE * inch)
        inside = (notes.onset < self.stop) & (ends > self.start)
        row = np.searchsorted(self.page.drums, notes.pitch) if part.is_drum else notes.pitch
        half = 0.36 if part.is_drum else 0.42
        return Shapes(notes.onset[inside].astype(float), ends[inside], row[inside], half, notes.velocity[inside])

    def labels(self) -> Iterator[BarLabel]:
        """Yield the labels over bar lines: numbers unless they would touch, changes of meter, letters of sections."""
        page = self.page
        every = -(-(self.last - self.first) // (2 * BARS_A_SYSTEM))
        changes = {tick: f"{numerator}/{denominator}" for tick, numerator, denominator in meters(page.score)}
        for bar in range(self.first, self.last):
            tick, number = int(page.lines[bar]), str(bar + 1)
            meter, letter = changes.get(tick, ""), page.letters.get(bar, "")
            room = every * (page.lines[bar + 1] - tick) / page.ticks_an_inch
            if (meter and room < 0.12 * len(number + meter)) or (not meter and (bar - self.first) % every):
                number = ""  # a pickup is too short for both
            if number or meter or letter:
                yield BarLabel(tick, number, meter, letter)

    def tempos(self) -> Iterator[tuple[int, str]]:
        """Yield tempos where they change; of a curve, as many as there is room for."""
        free = float(self.start)
        for tick, text in tempo_marks(self.page.score):
            if free <= tick < self.stop:
                yield tick, text
                free = tick + (0.15 + LETTER * len(text)) * self.page.ticks_an_inch


def panels(page: Page, first: int, last: int) -> list[RollPanel]:
    """Return the panels of a system: of the pitches, of the drums, or both."""
    result, top = [], ABOVE
    for height, is_drums in ((page.pitched_height, False), (page.drum_height, True)):
        if height:
            result.append(RollPanel(page, is_drums, first, last, top, height))
            top += height + BETWEEN
    return result


def beat_ticks(score: Score, lines: NDArray[np.int64]) -> list[int]:
    """Return the ticks of the beats: the meter's unit, or three of them where threes of eighths or less make a beat."""
    changes = meters(score)
    beats: list[int] = []
    current = 0
    for start, stop in pairwise(lines):
        while current + 1 < len(changes) and changes[current + 1][0] <= start:
            current += 1
        _, numerator, denominator = changes[current]
        unit = 4 * score.tpq / denominator * (3 if denominator >= 8 and numerator % 3 == 0 and numerator > 3 else 1)
        beats += [round(tick) for tick in np.arange(start, stop, unit)]
    return beats


def tempo_marks(score: Score) -> list[tuple[int, str]]:
    """Return (tick, text) of every change of tempo, in order."""
    texts = {max(0, tempo.time): f"♩ = {tempo.qpm:.4g}" for tempo in sorted(score.tempos, key=lambda t: t.time)}
    return [(t, text) for (t, text), last in zip(texts.items(), [None, *texts.values()], strict=False) if text != last]

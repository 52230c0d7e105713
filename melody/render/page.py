"""Layout of a piano roll: systems of eight bars, the rows of pitches and drums, the legend.

Lengths are inches from the top left corner, times are ticks. One scale holds in the whole picture, so a bar is as wide
in one system as in another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError
from melody.formats.colours import PALETTE
from melody.music.general_midi import default_name
from melody.music.score import Notes, Score, bars, end_tick, notes_of

BARS_A_SYSTEM = 8
MAX_SYSTEMS = 16  # longer pieces get more bars a system
WIDTH, MARGIN = 13.0, 0.45
SYSTEM_WIDTH = {False: WIDTH - 2 * MARGIN - 0.3, True: WIDTH - 2 * MARGIN - 1.0}  # by whether drum names stand left
HEADING, LEGEND_ROW = 0.62, 0.26
ABOVE, BELOW, BETWEEN = 0.44, 0.24, 0.12  # room over a system for numbers, under it, and between its two panels
SEMITONE, DRUM_ROW = 0.08, 0.185
LOWEST_PANEL, HIGHEST_PANEL = 1.3, 3.4


@dataclass(frozen=True)
class RollPart:
    """A track as it is drawn."""

    name: str
    colour: str
    is_drum: bool
    notes: Notes


@dataclass(frozen=True)
class Page:
    """Layout that all systems share. `systems` are pairs of bar numbers from 0: first, last + 1."""

    score: Score
    parts: list[RollPart]
    lines: NDArray[np.int64]  # ticks of the bar lines (bars + 1,)
    systems: list[tuple[int, int]]
    ticks_an_inch: float
    low: int  # pitches of the pitched panel, `high` excluded
    high: int
    drums: list[int]  # pitches of the drum panel, upwards
    given: tuple[tuple[int, int], ...]  # from tick to tick: what is the musician's
    letters: Mapping[int, str] = field(default_factory=dict)  # of the sections, by their first bar

    @property
    def pitched_height(self) -> float:
        """Inches; 0 without pitched notes."""
        rows = self.high - self.low
        return float(np.clip(rows * SEMITONE, LOWEST_PANEL, HIGHEST_PANEL)) if rows else 0.0

    @property
    def drum_height(self) -> float:
        """Inches; 0 without drums."""
        return len(self.drums) * DRUM_ROW

    @property
    def system_height(self) -> float:
        """Inches from the numbers over a system to the space under it."""
        between = BETWEEN if self.pitched_height and self.drum_height else 0.0
        return ABOVE + self.pitched_height + between + self.drum_height + BELOW


def layout(
    score: Score, primer_ticks: int = 0, resumes: int | None = None, letters: Mapping[int, str] | None = None
) -> Page:
    """Decide what stands where: up to `primer_ticks` and where it `resumes` music was given.

    `letters` name the sections that begin with a bar (from 0).

    Raises `MelodyError` where there are no notes.
    """
    if not end_tick(score):
        raise MelodyError("the score has no notes, so there is nothing to draw; give it some")
    lines = bars(score)
    parts = list(_parts(score))
    has_pickup = len(lines) > 2 and lines[1] - lines[0] < lines[2] - lines[1]
    systems = split_systems(len(lines) - 1, has_pickup)
    drums = sorted({int(p) for part in parts if part.is_drum for p in part.notes.pitch})
    low, high = pitch_range([part.notes for part in parts if not part.is_drum])
    longest = max(lines[last] - lines[first] for first, last in systems)
    scale = float(longest) / SYSTEM_WIDTH[bool(drums)]
    given = ((0, primer_ticks), (int(lines[-1]) if resumes is None else resumes, int(lines[-1])))
    return Page(score, parts, lines, systems, scale, low, high, drums, given, letters or {})


def split_systems(bar_count: int, has_pickup: bool = False) -> list[tuple[int, int]]:
    """Bars in rows of eight after the pickup, of more where that would make more than `MAX_SYSTEMS` rows.

    A last row of one or two bars joins the one before.
    """
    size = max(BARS_A_SYSTEM, -(-bar_count // MAX_SYSTEMS))
    size = -(-size // 4) * 4
    starts = [0, *range(size + has_pickup, bar_count, size)]
    if len(starts) > 1 and bar_count - starts[-1] <= 2:
        starts.pop()
    return list(zip(starts, [*starts[1:], bar_count], strict=True))


def pitch_range(voices: Sequence[Notes]) -> tuple[int, int]:
    """The rows to show: two semitones around the notes, sixteen at least; (0, 0) without notes."""
    if not voices:
        return 0, 0
    low = min(int(v.pitch.min()) for v in voices) - 2
    high = max(int(v.pitch.max()) for v in voices) + 3
    missing = max(0, 16 - (high - low))
    return max(0, low - missing // 2), min(128, high + missing - missing // 2)


def _parts(score: Score) -> Iterator[RollPart]:
    tracks = [track for track in score.tracks if len(track.notes)]
    for index, track in enumerate(tracks):
        name = track.name.strip() or default_name(track.program, track.is_drum)
        yield RollPart(shortened(name), PALETTE[index % len(PALETTE)], track.is_drum, notes_of(track))


def shortened(text: str, limit: int = 32) -> str:
    """The text on one line of at most `limit` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def legend_rows(parts: Sequence[RollPart]) -> list[list[tuple[float, RollPart]]]:
    """The legend's entries with their places in inches from the left, broken into rows that fit the width."""
    rows: list[list[tuple[float, RollPart]]] = [[]]
    x = MARGIN
    for part in parts:
        width = 0.6 + 0.075 * len(part.name)
        if rows[-1] and x + width > WIDTH - MARGIN:
            rows.append([])
            x = MARGIN
        rows[-1].append((x, part))
        x += width
    return rows

"""A score as a picture: notes over bars and beats, a colour a track, in rows of eight bars like systems on a page.

Time runs rightwards, pitch upwards, with the black keys' rows shaded and the Cs named; drums have a panel of their own,
a row a drum. The louder a note, the fuller its colour. The primer lies on a warm ground. `page` decides what stands
where; here it is drawn, with matplotlib's Agg canvas, never pyplot. Equal scores make equal bytes.
"""

import io
import os
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from melody.music.general_midi import drum_name
from melody.music.score import Notes, Score, meters
from melody.render.page import (
    ABOVE,
    BARS_A_SYSTEM,
    BETWEEN,
    HEADING,
    LEGEND_ROW,
    MARGIN,
    SYSTEM_WIDTH,
    WIDTH,
    Page,
    RollPart,
    layout,
    legend_rows,
    shortened,
)
from melody.storage.display import shown
from melody.storage.files import refuse_overwrite, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 144
INK, GREY, BAR_LINE, BEAT_LINE = "#22262B", "#7A828C", "#A9B0B8", "#E3E6EA"
BLACK_KEY, PRIMER, PRIMER_INK = "#3A4A5C", "#FFF6DF", "#B07A00"
BLACK_KEYS = (1, 3, 6, 8, 10)
EDGE = 0.5  # points
FAINTEST = 0.3  # opacity at velocity 1; 1 at 127


def draw(
    score: Score,
    path: str | os.PathLike[str],
    primer_ticks: int = 0,
    title: str = "",
    force: bool = False,
    resumes: int | None = None,
    letters: Mapping[int, str] | None = None,
) -> Path:
    """Write the piano roll as a PNG; what is before `primer_ticks` and from `resumes` on is marked as the primer.

    `letters` stand over the bars (from 0) with which sections begin.

    Returns the path. Raises `MelodyError` where the file exists (unless `force`) or the score has no notes.
    """
    import matplotlib.style

    path = Path(path)
    refuse_overwrite(path, force)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.style.context("default"):
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in a script that the font lacks
        figure(score, primer_ticks, title, resumes, letters).savefig(buffer, format="png", metadata={"Software": None})
    return write_bytes(path, buffer.getvalue(), force=force)


def figure(
    score: Score,
    primer_ticks: int = 0,
    title: str = "",
    resumes: int | None = None,
    letters: Mapping[int, str] | None = None,
) -> "Figure":
    """The piano roll as a matplotlib figure: per system a panel of pitches and, where there are drums, one of drums."""
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = layout(score, primer_ticks, resumes, letters)
    rows = legend_rows(page.parts)
    top = MARGIN + (HEADING if title else 0.0) + len(rows) * LEGEND_ROW
    height = top + len(page.systems) * page.system_height + MARGIN / 2
    with matplotlib.style.context("default"):  # whatever the reader's own matplotlibrc says
        result = Figure((WIDTH, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(result)
        _draw_heading(result, title, rows)
        for index in range(len(page.systems)):
            _draw_system(result, page, index, top + index * page.system_height)
    return result


def _draw_heading(canvas: "Figure", title: str, rows: list[list[tuple[float, RollPart]]]) -> None:
    from matplotlib.patches import FancyBboxPatch

    height = canvas.get_figheight()
    y = height - MARGIN
    if title:
        _write(canvas, MARGIN, y - 0.2, shortened(title, 90), size=17, weight="bold", color=INK)
        y -= HEADING
    for row in rows:
        for x, part in row:
            swatch = FancyBboxPatch(
                (x + 0.02, y - 0.04),
                0.16,
                0.09,
                "round,pad=0.02",
                transform=canvas.dpi_scale_trans,
                lw=0,
                fc=part.colour,
            )
            canvas.add_artist(swatch)
            _write(canvas, x + 0.28, y, part.name, size=9.5, color=INK)
        y -= LEGEND_ROW


def _write(canvas: "Figure", x: float, y: float, text: str, **style: Any) -> None:
    canvas.text(x, y, shown(text), transform=canvas.dpi_scale_trans, va="center", parse_math=False, **style)


# ---- systems -------------------------------------------------------------------------------------------------------


def _draw_system(canvas: "Figure", page: Page, index: int, top: float) -> None:
    first, last = page.systems[index]
    start, stop = int(page.lines[first]), int(page.lines[last])
    y = top + ABOVE
    panels = []
    for height, drums in ((page.pitched_height, False), (page.drum_height, True)):
        if height:
            panels.append(_panel(canvas, page, start, stop, y, height))
            (_draw_drum_rows if drums else _draw_pitch_rows)(panels[-1], page)
            _draw_notes(panels[-1], page, drums)
            _draw_bars(panels[-1], page, first, last)
            y += height + BETWEEN
    _draw_numbers(panels[0], page, first, last)
    _draw_tempos(panels[0], page, start, stop)
    _label_primer(panels[-1], page, start, stop)


def _panel(canvas: "Figure", page: Page, start: int, stop: int, top: float, height: float) -> "Axes":
    whole = canvas.get_figheight()
    left = WIDTH - MARGIN - SYSTEM_WIDTH[bool(page.drums)]
    width = (stop - start) / page.ticks_an_inch
    axes = canvas.add_axes((left / WIDTH, 1 - (top + height) / whole, width / WIDTH, height / whole))
    axes.set_xlim(start, stop)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=8, labelcolor=GREY, pad=5)
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set(color=BAR_LINE, linewidth=0.8)
    for begin, end in _given_within(page, start, stop):
        axes.axvspan(begin, end, color=PRIMER, lw=0, zorder=0)
    return axes


def _draw_pitch_rows(axes: "Axes", page: Page) -> None:
    axes.set_ylim(page.low - 0.5, page.high - 0.5)
    octaves = [pitch for pitch in range(page.low, page.high) if pitch % 12 == 0]
    for pitch in range(page.low, page.high):
        if pitch % 12 in BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=BLACK_KEY, alpha=0.055, lw=0, zorder=1)
    for pitch in octaves:
        axes.axhline(pitch - 0.5, color=BAR_LINE, lw=0.6, zorder=1.5)
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])


def _draw_drum_rows(axes: "Axes", page: Page) -> None:
    axes.set_ylim(-0.5, len(page.drums) - 0.5)
    for row in range(0, len(page.drums), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=BLACK_KEY, alpha=0.055, lw=0, zorder=1)
    axes.set_yticks(range(len(page.drums)), [drum_name(pitch) for pitch in page.drums])


def _draw_notes(axes: "Axes", page: Page, drums: bool) -> None:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    start, stop = axes.get_xlim()
    hairline = page.ticks_an_inch / 100  # the shortest note to be seen, and the gap before a repeated one
    for part in page.parts:
        notes = part.notes.take((part.notes.onset < stop) & (part.notes.onset + part.notes.duration > start))
        if part.is_drum != drums or not len(notes.onset):
            continue
        y = np.searchsorted(page.drums, notes.pitch) if drums else notes.pitch
        length = _drum_lengths(notes, page) if drums else np.maximum(notes.duration - hairline, 2 * hairline)
        left, right, half = notes.onset, notes.onset + length, 0.36 if drums else 0.42
        corners = [(left, y - half), (right, y - half), (right, y + half), (left, y + half)]
        colours = np.empty((len(y), 4))
        colours[:, :3] = to_rgb(part.colour)
        colours[:, 3] = FAINTEST + (1 - FAINTEST) * np.clip(notes.velocity - 1, 0, 126) / 126
        shapes = np.stack([np.stack(corner, -1) for corner in corners], 1)  # (notes, 4, 2)
        axes.add_collection(
            PolyCollection(shapes, facecolors=colours, edgecolors=part.colour, linewidths=EDGE, zorder=3), autolim=False
        )


def _drum_lengths(notes: Notes, page: Page) -> NDArray[np.float64]:
    # a hit has no length worth drawing: a thirty-second, and enough to be seen
    return np.full(len(notes.onset), max(page.score.tpq / 8, page.ticks_an_inch * 0.045))


def _draw_bars(axes: "Axes", page: Page, first: int, last: int) -> None:
    lines = page.lines[first : last + 1]
    if last - first <= 2 * BARS_A_SYSTEM:
        beats = [beat for beat in beat_ticks(page.score, page.lines) if lines[0] < beat < lines[-1]]
        axes.vlines(np.setdiff1d(beats, lines), *axes.get_ylim(), color=BEAT_LINE, lw=0.6, zorder=2)
    axes.vlines(lines[1:-1], *axes.get_ylim(), color=BAR_LINE, lw=0.9, zorder=2.5)


def beat_ticks(score: Score, lines: NDArray[np.int64]) -> list[int]:
    """The ticks of the beats: the meter's unit, or three of them where threes of eighths or shorter make a beat."""
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


def _draw_numbers(axes: "Axes", page: Page, first: int, last: int) -> None:
    """The bars' numbers over their lines, all unless they would touch, beside them changes of meter and letters."""
    every = -(-(last - first) // (2 * BARS_A_SYSTEM))
    changes = {tick: f"{numerator}/{denominator}" for tick, numerator, denominator in meters(page.score)}
    for bar in range(first, last):
        tick, number, meter = int(page.lines[bar]), str(bar + 1), changes.get(int(page.lines[bar]), "")
        room = every * (page.lines[bar + 1] - tick) / page.ticks_an_inch
        if meter and room < 0.12 * len(number + meter):
            number = ""  # a pickup is too short for both
        if meter or (bar - first) % every == 0:
            _over(axes, tick, (0, 4), number, color=GREY, size=8)
            _over(axes, tick, (5.5 * len(number) + 4 * bool(number), 4), meter, color=INK, size=8, weight="bold")
        if letter := page.letters.get(bar):
            shown = (bar - first) % every == 0 or bool(meter)
            beside = 5.5 * len(number) * shown + 4 + (5 * len(meter) + 4) * bool(meter)
            _over(axes, tick, (beside, 4), letter, color=PRIMER_INK, size=9, weight="bold")


def _draw_tempos(axes: "Axes", page: Page, start: int, stop: int) -> None:
    """Tempos where they change; of a curve, as many as there is room for."""
    free = float(start)
    for tick, text in tempo_marks(page.score):
        if free <= tick < stop:
            _over(axes, tick, (0, 17), text, color=INK, size=9)
            free = tick + (0.15 + 0.08 * len(text)) * page.ticks_an_inch


def tempo_marks(score: Score) -> list[tuple[int, str]]:
    """(tick, text) of every change of tempo, in order."""
    texts = {max(0, tempo.time): f"♩ = {tempo.qpm:.4g}" for tempo in sorted(score.tempos, key=lambda t: t.time)}
    return [(t, text) for (t, text), last in zip(texts.items(), [None, *texts.values()], strict=False) if text != last]


def _over(axes: "Axes", tick: int, shift_points: tuple[float, float], text: str, **style: Any) -> None:
    place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "va": "bottom"}
    axes.annotate(text, (tick, 1), shift_points, **place, **style)


def _given_within(page: Page, start: int, stop: int) -> list[tuple[int, int]]:
    """The stretches of a system in which the musician's music lies."""
    cut = [(max(begin, start), min(end, stop)) for begin, end in page.given]
    return [(begin, end) for begin, end in cut if begin < end]


def _label_primer(axes: "Axes", page: Page, start: int, stop: int) -> None:
    place = axes.get_xaxis_transform()
    line: dict[str, Any] = {"lw": 2.2, "clip_on": False, "solid_capstyle": "butt", "zorder": 5}  # over the frame
    under: dict[str, Any] = {"xycoords": place, "textcoords": "offset points", "va": "top"}
    for begin, end in _given_within(page, start, stop):
        axes.plot([begin, end], [0, 0], transform=place, color=PRIMER_INK, **line)
        axes.annotate("primer", (begin, 0), (0, -4), **under, color=PRIMER_INK, size=8)

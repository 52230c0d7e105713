"""A score as a picture: notes over bars and beats, a colour a track, in rows of eight bars like systems on a page.

Time runs rightwards, pitch upwards, with the black keys' rows shaded and the Cs named; drums have a panel of their own,
a row a drum. The louder a note, the fuller its colour. The primer lies on a warm ground. `page` decides what stands
where and `roll` what is drawn; here it is painted, with matplotlib's Agg canvas, never pyplot. Equal scores make equal
bytes.
"""

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melody.music.score import Score
from melody.render.page import (
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
from melody.render.roll import RollPanel, panels
from melody.storage.display import shown
from melody.storage.files import refuse_overwrite, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 144
INK, GREY, BAR_LINE, BEAT_LINE = "#22262B", "#7A828C", "#A9B0B8", "#E3E6EA"
BLACK_KEY, PRIMER, PRIMER_INK = "#3A4A5C", "#FFF6DF", "#B07A00"
EDGE = 0.5  # points
FAINTEST = 0.3  # opacity at velocity 1; 1 at 127
DIGIT, SPACE = 5.5, 4.0  # points of what stands over a bar line


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
    drawn = [(panel, _axes(canvas, panel, top)) for panel in panels(page, *page.systems[index])]
    for panel, axes in drawn:
        _draw_rows(axes, panel)
        _draw_notes(axes, panel)
        axes.vlines(panel.beats(), *axes.get_ylim(), color=BEAT_LINE, lw=0.6, zorder=2)
        axes.vlines(panel.bar_lines(), *axes.get_ylim(), color=BAR_LINE, lw=0.9, zorder=2.5)
    _draw_labels(drawn[0][1], drawn[0][0])
    _draw_given_labels(drawn[-1][1], drawn[-1][0])


def _axes(canvas: "Figure", panel: RollPanel, top: float) -> "Axes":
    """A panel whose coordinates are ticks and rows."""
    page, whole = panel.page, canvas.get_figheight()
    left = WIDTH - MARGIN - SYSTEM_WIDTH[bool(page.drums)]
    width = (panel.stop - panel.start) / page.ticks_an_inch
    bottom = top + panel.top + panel.height
    axes = canvas.add_axes((left / WIDTH, 1 - bottom / whole, width / WIDTH, panel.height / whole))
    low, high = panel.rows
    axes.set(xlim=(panel.start, panel.stop), ylim=(low - 0.5, high - 0.5), xticks=[])
    axes.tick_params(length=0, labelsize=8, labelcolor=GREY, pad=5)
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set(color=BAR_LINE, linewidth=0.8)
    return axes


def _draw_rows(axes: "Axes", panel: RollPanel) -> None:
    for begin, end in panel.given():
        axes.axvspan(begin, end, color=PRIMER, lw=0, zorder=0)
    for row in panel.dark_rows():
        axes.axhspan(row - 0.5, row + 0.5, color=BLACK_KEY, alpha=0.055, lw=0, zorder=1)
    names = panel.named_rows()
    axes.set_yticks([row for row, _ in names], [name for _, name in names])
    if not panel.is_drums:
        for row, _ in names:
            axes.axhline(row - 0.5, color=BAR_LINE, lw=0.6, zorder=1.5)


def _draw_notes(axes: "Axes", panel: RollPanel) -> None:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    for _, part, (left, right, y, half, velocity) in panel.parts():
        if not len(left):
            continue
        corners = [(left, y - half), (right, y - half), (right, y + half), (left, y + half)]
        colours = np.empty((len(y), 4))
        colours[:, :3] = to_rgb(part.colour)
        colours[:, 3] = FAINTEST + (1 - FAINTEST) * np.clip(velocity - 1, 0, 126) / 126
        shapes = np.stack([np.stack(corner, -1) for corner in corners], 1)  # (notes, 4, 2)
        axes.add_collection(
            PolyCollection(shapes, facecolors=colours, edgecolors=part.colour, linewidths=EDGE, zorder=3), autolim=False
        )


def _draw_labels(axes: "Axes", panel: RollPanel) -> None:
    """Write the words over the bar lines, and tempos above them."""
    styles: tuple[dict[str, Any], ...] = (
        {"color": GREY, "size": 8},
        {"color": INK, "size": 8, "weight": "bold"},
        {"color": PRIMER_INK, "size": 9, "weight": "bold"},
    )
    for tick, *words in panel.labels():
        x = 0.0
        for word, style in zip(words, styles, strict=True):
            if word:
                _over(axes, tick, (x, 4), word, **style)
                x += DIGIT * len(word) + SPACE
    for tick, text in panel.tempos():
        _over(axes, tick, (0, 17), text, color=INK, size=9)


def _over(axes: "Axes", tick: int, shift_points: tuple[float, float], text: str, **style: Any) -> None:
    place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "va": "bottom"}
    axes.annotate(text, (tick, 1), shift_points, **place, **style)


def _draw_given_labels(axes: "Axes", panel: RollPanel) -> None:
    place = axes.get_xaxis_transform()
    line: dict[str, Any] = {"lw": 2.2, "clip_on": False, "solid_capstyle": "butt", "zorder": 5}  # over the frame
    under: dict[str, Any] = {"xycoords": place, "textcoords": "offset points", "va": "top"}
    for begin, end in panel.given():
        axes.plot([begin, end], [0, 0], transform=place, color=PRIMER_INK, **line)
        axes.annotate("primer", (begin, 0), (0, -4), **under, color=PRIMER_INK, size=8)

"""A picture of what was heard in a recording: its pitch curve, and the notes taken from it over bar lines."""

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melody.render.pianoroll import BAR_LINE, BEAT_LINE, DPI, GREY, INK, PRIMER_INK
from melody.senses.hearing import Heard
from melody.storage.files import refuse_overwrite, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SECONDS_A_ROW = 20.0
WIDTH, ROW_HEIGHT, TOP = 11.0, 2.2, 0.9  # inches
MOST_ROWS = 40
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def draw_heard(heard: Heard, path: str | os.PathLike[str], title: str = "", force: bool = False) -> Path:
    """Write the picture as a PNG and return its path. Raises `MelodyError` where the file exists (unless `force`)."""
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    refuse_overwrite(path, force)
    rows = min(MOST_ROWS, max(1, int(np.ceil(max(note.end for note in heard.notes) / SECONDS_A_ROW))))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.style.context("default"):
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure((WIDTH, TOP + rows * ROW_HEIGHT), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.05, 1 - 0.3 / (TOP + rows * ROW_HEIGHT), title, color=INK, fontsize=12, va="center")
        said = " · ".join(remark.partition("; `")[0] for remark in heard.remarks)
        figure.text(0.05, 1 - 0.6 / (TOP + rows * ROW_HEIGHT), said[:170], color=GREY, fontsize=7, va="center")
        axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
        bottom, share = 0.35 / (TOP + rows * ROW_HEIGHT), 1 - TOP / (TOP + rows * ROW_HEIGHT)
        figure.subplots_adjust(left=0.05, right=0.98, bottom=bottom, top=share + bottom / 2, hspace=0.3)
        for row, one in enumerate(axes):
            _draw_row(one, heard, row * SECONDS_A_ROW)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return write_bytes(path, buffer.getvalue(), force=force)


def _draw_row(axes: "Axes", heard: Heard, start: float) -> None:
    pitch = np.array([note.pitch for note in heard.notes])
    low, high = int(pitch.min()) - 2, int(pitch.max()) + 3
    axes.set_xlim(start, start + SECONDS_A_ROW)
    axes.set_ylim(low, high)
    for line in heard.bar_lines:
        axes.axvline(line, color=BAR_LINE, linewidth=0.8, zorder=0)
    ticks = [p for p in range(low, high) if p % 12 in (0, 4, 7)]
    axes.set_yticks(ticks, [f"{NAMES[p % 12]}{p // 12 - 1}" for p in ticks], fontsize=6, color=GREY)
    axes.grid(axis="y", color=BEAT_LINE, linewidth=0.5)
    axes.tick_params(axis="x", labelsize=6, colors=GREY)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for note in heard.notes:
        if note.onset < start + SECONDS_A_ROW and note.end > start:
            bar = [(note.onset, note.end - note.onset)]
            axes.broken_barh(bar, (note.pitch - 0.35, 0.7), facecolors=PRIMER_INK, alpha=0.45, linewidth=0)
    if heard.curve is not None:
        shown = np.where(heard.curve.voiced, heard.curve.pitch - heard.tuning, np.nan)
        inside = (heard.curve.time >= start) & (heard.curve.time < start + SECONDS_A_ROW)
        axes.plot(heard.curve.time[inside], shown[inside], color=INK, linewidth=0.9)

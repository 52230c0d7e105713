"""The learning curve of a run as a picture: loss of its steps, nats of its evaluations, learning rate."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from melody.storage.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "curve.png"
POINTS = 300  # the loss is drawn as the means of so many stretches of steps
TRAIN, VALID, RATE = "#2F6DB5", "#C2552D", "#7A828C"


def draw_curve(folder: Path) -> Path | None:
    """Draw the tables of a run's folder as ``curve.png`` in it; None where it has made no step yet."""
    steps, evaluations = (_columns(folder / f"{name}.csv") for name in ("steps", "evaluations"))
    if not steps.get("step"):
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    loss, rate = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _draw_loss(loss, steps, evaluations)
    rate.plot(steps["step"], steps["learning_rate"], color=RATE, linewidth=1)
    rate.set(xlabel="step", ylabel="learning rate")
    loss.set_title(folder.name)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return write_bytes(folder / NAME, picture.getvalue(), force=True)


def _draw_loss(axes: "Axes", steps: dict[str, list[float]], evaluations: dict[str, list[float]]) -> None:
    width = -(-len(steps["step"]) // POINTS)
    axes.plot(_means(steps["step"], width), _means(steps["nats_per_token"], width), color=TRAIN, label="train")
    if evaluations.get("step"):
        per_token = evaluations["nats_per_token"]
        axes.plot(evaluations["step"], per_token, color=VALID, marker=".", label="valid")
        best = min(range(len(per_token)), key=evaluations["nats_per_note"].__getitem__)
        label = f"best: {evaluations['nats_per_note'][best]:.4f} nats per note"
        axes.plot(evaluations["step"][best], per_token[best], "o", color=VALID, fillstyle="none", label=label)
    axes.set_ylabel("nats per token")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)


def _columns(path: Path) -> dict[str, list[float]]:
    """A table's columns of numbers, by name."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _means(values: list[float], width: int) -> list[float]:
    """The means of stretches of `width` values."""
    parts = [values[start : start + width] for start in range(0, len(values), width)]
    return [sum(part) / len(part) for part in parts]

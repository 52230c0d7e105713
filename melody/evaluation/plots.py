"""Plots of several sets of pieces as SVG: distributions of a number, histograms, shares, ranges of tracks.

Every drawing has a title and a description for those who do not see it. Colours are classes, which a style sheet fills
in for light and dark; sets are told apart without colour too: full areas, thick outlines, dashes (`page.css`).
Lengths are points of a drawing that is `WIDTH` wide.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.storage.display import escaped

WIDTH = 340
LEFT, RIGHT, TOP, BOTTOM = 36, 322, 12, 150
HEIGHT = 172
LONGEST = 270  # of a bar to the right, which has its number after it
CHARACTER = 8  # of a label, at most
BINS = 16  # about so many, of numbers that are no small counts
MOST_COUNTS = 24  # whole numbers up to so many apart have a bin each

Floats = NDArray[np.float64]


class Series(NamedTuple):
    """A set of pieces in a plot: the class of its colour and shape, and its values."""

    kind: str  # samples, alone or held-out
    values: Floats


def distribution(title: str, description: str, series: Sequence[Series], percent: bool = False) -> str:
    """Draw how many pieces of each set have which value, as outlines of bins, with a mark at each mean."""
    known = [Series(kind, values[np.isfinite(values)]) for kind, values in series]
    known = [one for one in known if len(one.values)]
    edges = bin_edges(np.concatenate([one.values for one in known]))
    shares = [np.histogram(one.values, edges)[0] / len(one.values) for one in known]
    top = max(float(share.max()) for share in shares)
    x = _scale(edges[0], edges[-1])
    body = [_grid(top)]
    for one, share in zip(known, shares, strict=True):
        body.append(f'<path class="{one.kind}" d="{_outline([x(e) for e in edges], [_y(s, top) for s in share])}"/>')
    body += [_mean(one.kind, x(float(one.values.mean()))) for one in known]
    marks = ticks(edges[0], edges[-1])
    if edges[0] % 1 == 0.5 and edges[1] - edges[0] == 1:  # a bin for each whole number
        marks = [tick for tick in marks if tick % 1 == 0] or [float(edges.mean().round())]
    body += [_label(x(tick), _number(tick, percent)) for tick in marks]
    return _drawing(title, description, body)


def bars(title: str, description: str, bins: Sequence[str], series: Sequence[Series]) -> str:
    """A group of bars for each bin, the first set and the last side by side; one between them is a dash."""
    top = max(float(one.values.max()) for one in series) or 1.0
    width = (RIGHT - LEFT) / len(bins)
    bar = 0.4 * width
    body = [_grid(top)]
    for place in range(len(bins)):
        left = LEFT + (place + 0.1) * width
        for number, one in enumerate(series):
            y = _y(float(one.values[place]), top)
            if 0 < number < len(series) - 1:
                body.append(
                    f'<path class="{one.kind}" d="M{left - 0.05 * width:.1f} {y:.1f}h{bar + 0.1 * width:.1f}"/>'
                )
            elif one.values[place]:
                start = left + bar * (number > 0)
                body.append(f'<path class="{one.kind}" d="M{start:.1f} {BOTTOM}V{y:.1f}h{bar:.1f}V{BOTTOM}"/>')
    every = next(step for step in itertools.count(1) if _have_room(bins[_first(bins, step) :: step], step * width))
    shown = range(_first(bins, every), len(bins), every)
    body += [_label(LEFT + (place + 0.5) * width, bins[place]) for place in shown]
    return _drawing(title, description, body)


def _first(bins: Sequence[str], every: int) -> int:
    """The first bin with a label, so that the middle one has its own."""
    return len(bins) // 2 % every


def _have_room(labels: Sequence[str], apart: float) -> bool:
    return all((len(a) + len(b)) / 2 * CHARACTER < apart for a, b in itertools.pairwise(labels))


def rows(title: str, description: str, names: Sequence[str], series: Sequence[Series], unit: str = "%") -> str:
    """A bar to the right for each name and set, with its number: a share, or what `unit` says."""
    known = np.concatenate([one.values[np.isfinite(one.values)] for one in series])
    top = float(known.max(initial=0)) or 1.0
    body, y = [], 0.0
    for place, name in enumerate(names):
        body.append(f'<text class="name" x="2" y="{y + 13:.1f}">{escaped(name)}</text>')
        y += 18
        for one in series:
            body.append(_row(one.kind, y, float(one.values[place]), top, unit))
            y += 15
        y += 7
    return _drawing(title, description, body, int(y))


def _row(kind: str, y: float, value: float, top: float, unit: str) -> str:
    """A bar with its number after it; where there is no value, a dash."""
    if not np.isfinite(value):
        return f'<text class="beside" x="7" y="{y + 10:.1f}">–</text>'
    length = LONGEST * value / top
    text = _number(value, True) if unit == "%" else f"{value:.2f} {unit}"
    return (
        f'<path class="{kind}" d="M2 {y:.1f}h{length:.1f}v12h-{length:.1f}z"/>'
        f'<text class="beside" x="{7 + length:.1f}" y="{y + 10:.1f}">{escaped(text)}</text>'
    )


class Range(NamedTuple):
    """The pitches of a track: lowest, twentieth lowest of a hundred, median, twentieth highest, highest."""

    lowest: float
    low: float
    median: float
    high: float
    highest: float


def ranges(
    title: str,
    description: str,
    names: Sequence[str],
    series: Sequence[tuple[str, Sequence[Range | None]]],
    limits: Sequence[range] = (),
) -> str:
    """A line for each track and set from its lowest to its highest pitch, thick where nine in ten lie."""
    known = [one for _, tracks in series for one in tracks if one]
    low = min([one.lowest for one in known] + [limit.start for limit in limits]) - 1
    high = max([one.highest for one in known] + [limit.stop for limit in limits]) + 1
    x = _scale(low, high)
    row, body = 11, []
    height = len(names) * (20 + row * len(series))
    for pitch in range(int(-(-low // 12)) * 12, int(high) + 1, 12):
        body.append(f'<path class="grid" d="M{x(pitch):.1f} 0V{height}"/>')
        body.append(_label(x(pitch), f"C{pitch // 12 - 1}", height + 15))
    y = 0.0
    for place, name in enumerate(names):
        body.append(f'<text class="name" x="2" y="{y + 13:.1f}">{escaped(name)}</text>')
        y += 20
        if limits:
            left, right = x(limits[place].start), x(limits[place].stop - 1)
            body.append(
                f'<rect class="limit" x="{left:.1f}" y="{y - 2:.1f}" width="{right - left:.1f}" '
                f'height="{row * len(series)}"/>'
            )
        for kind, tracks in series:
            if one := tracks[place]:
                middle = y + row / 2 - 1
                body.append(f'<path class="thin {kind}" d="M{x(one.lowest):.1f} {middle:.1f}H{x(one.highest):.1f}"/>')
                body.append(f'<path class="thick {kind}" d="M{x(one.low):.1f} {middle:.1f}H{x(one.high):.1f}"/>')
                body.append(f'<circle class="middle" cx="{x(one.median):.1f}" cy="{middle:.1f}" r="2"/>')
            y += row
    return _drawing(title, description, body, height + 22)


def bin_edges(values: Floats) -> Floats:
    """Edges of equal bins from round numbers on that hold all values; a bin each for counts that lie close."""
    low, high = float(values.min()), float(values.max())
    if high - low <= MOST_COUNTS and (values == values.round()).all():
        return np.arange(low - 0.5, high + 1)
    step = _round_step((high - low) / BINS)
    first, last = np.floor(low / step), np.floor(high / step) + 1
    return np.arange(first, last + 1) * step


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers in a range."""
    step = _round_step((high - low) / 5)
    return [float(place * step) for place in range(int(np.ceil(low / step - 1e-9)), int(high / step + 1e-9) + 1)]


def _round_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten that is not less."""
    if step <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9)))


def _scale(low: float, high: float) -> Callable[[float], float]:
    """Return the horizontal place of a value."""
    return lambda value: LEFT + (RIGHT - LEFT) * (value - low) / (high - low)


def _y(share: float, top: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share / top


def _outline(x: Sequence[float], y: Sequence[float]) -> str:
    """A path around bins with these edges and heights, closed on the ground."""
    steps = "".join(f"V{height:.1f}H{right:.1f}" for right, height in zip(itertools.islice(x, 1, None), y, strict=True))
    return f"M{x[0]:.1f} {BOTTOM}{steps}V{BOTTOM}z"


def _grid(top: float) -> str:
    """Lines at round shares, with their numbers, and the ground."""
    lines = "".join(
        f'<path class="grid" d="M{LEFT} {_y(tick, top):.1f}H{RIGHT}"/>'
        f'<text class="share" x="{LEFT - 5}" y="{_y(tick, top) + 3.5:.1f}">{_number(tick, True)}</text>'
        for tick in ticks(0, top)
        if tick
    )
    return f'{lines}<path class="ground" d="M{LEFT} {BOTTOM}H{RIGHT}"/>'


def _mean(kind: str, x: float) -> str:
    return f'<path class="mean {kind}" d="M{x:.1f} {BOTTOM}l-4 7h8z"/>'


def _label(x: float, text: str, y: float = BOTTOM + 18) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y}">{escaped(text)}</text>'


def _number(value: float, percent: bool) -> str:
    return f"{100 * value:.3g} %" if percent else f"{value:.4g}".replace("-", "−")


def _drawing(title: str, description: str, body: Sequence[str], height: int = HEIGHT) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img"><title>{escaped(title)}</title>'
        f"<desc>{escaped(description)}</desc>{''.join(body)}</svg>"
    )

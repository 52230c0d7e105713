"""Staves in the picture of a page: found, straightened and cut out, with lines `SPACE` pixels apart.

The light is levelled by the paper's own brightness. The distance of staff lines is the one at which columns agree with
themselves; the page is turned until its rows are sharpest; a comb of five lines slides over what is left of long
horizontal runs; then each staff is followed from strip to strip, so that bent paper is
straightened. Nothing larger than `MAX_PIXELS` is decoded.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from melody.errors import LimitExceeded, UnreadableFile
from melody.senses.page.symbols import ABOVE, HEIGHT, SPACE

MAX_PIXELS = 60_000_000
WORKING_SPACE = 10.0  # pixels between lines at which staves are looked for
WIDEST = 6000  # pixels of a page at that size
SPACES = (4, 80)  # pixels between two lines that are looked for
TURNS = np.arange(-5, 5.01, 0.25)  # degrees
STRIP = 3.0  # spaces of a strip in which a staff is followed
LEAST_FIT = 0.5  # of a distance of lines, see `_line_distance`
CLEAR = 0.35  # share of a staff's width that its comb must find
PRESENT = 0.1  # ink that lines have more than gaps, where there is a staff
MOST = 60  # staves of a page

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class StaffOnPage:
    """A staff: its picture (`HEIGHT`, W), dark on light, where its middle line lies, and which one below it joins."""

    pixels: Pixels
    top: float  # of the page's height, in [0, 1]
    joined: bool  # a line at the left leads to the staff below


def staves_of(data: bytes, name: str) -> list[StaffOnPage]:
    """Return the staves of a picture (PNG or JPEG), from the top. Raises `UnreadableFile` or `LimitExceeded`."""
    ink = _levelled(_decoded(data, name))
    space = _line_distance(ink)
    if space is None:
        raise UnreadableFile(f"{name}: no staff was found; photograph the page straight, sharp and close")
    ink = _scaled(ink, WORKING_SPACE / space)
    ink = _turned(ink, _skew(ink))
    space = _line_distance(ink, WORKING_SPACE) or WORKING_SPACE
    found = _combs(ink, space)
    if not found:
        raise UnreadableFile(f"{name}: no staff was found; photograph the page straight, sharp and close")
    followed = [_follow(ink, middle, space) for middle in found[:MOST]]
    spans = [_span(ink, middles, space) for middles in followed]
    kept = [(m, s) for m, s in zip(followed, spans, strict=True) if s[1] - s[0] >= 8 * space]
    if not kept:
        raise UnreadableFile(f"{name}: no staff was found; photograph the page straight, sharp and close")
    joins = [_joined(ink, kept[i], kept[i + 1], space) if i + 1 < len(kept) else False for i in range(len(kept))]
    return [
        StaffOnPage(_cut(ink, middles, span, space), float(middles.mean()) / ink.shape[0], joined)
        for (middles, span), joined in zip(kept, joins, strict=True)
    ]


def _decoded(data: bytes, name: str) -> Floats:
    """Return brightness (H, W) in [0, 1]."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            if image.width * image.height > MAX_PIXELS:
                raise LimitExceeded(
                    f"{name}: {image.width:,} x {image.height:,} pixels; up to {MAX_PIXELS:,} are read; make it smaller"
                )
            image = ImageOps.exif_transpose(image)
            if image.mode in ("RGBA", "LA", "P"):
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            grey = image.convert("L")
    except LimitExceeded:
        raise
    except Exception as error:  # what Pillow raises for damaged files shares no narrower base
        kind = "PNG" if data.startswith(b"\x89PNG") else "JPEG"
        reason = type(error).__name__ if "BytesIO" in str(error) else str(error)[:80] or type(error).__name__
        raise UnreadableFile(f"{name}: a damaged {kind} picture ({reason}); save it again") from error
    if min(grey.size) < 24:
        raise UnreadableFile(f"{name}: a picture of {grey.width} x {grey.height} pixels, too small for a staff")
    return np.asarray(np.asarray(grey, np.float32) / 255, np.float32)


def _levelled(light: Floats) -> Floats:
    """Return ink (H, W): 0 on paper, 1 where it is darkest, whatever the light."""
    from PIL import Image, ImageFilter

    size = max(8, min(light.shape) // 25)
    small = Image.fromarray((light * 255).astype(np.uint8)).reduce(4)
    paper = small.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.BoxBlur(size / 4))
    background = np.asarray(paper.resize((light.shape[1], light.shape[0])), np.float32) / 255
    ink = np.clip(1 - light / np.maximum(background, 0.05), 0, 1)
    dark = float(np.quantile(ink[::3, ::3], 0.995))
    return np.asarray(np.clip(ink / max(dark, 0.15), 0, 1), np.float32)


def _line_distance(ink: Floats, about: float | None = None) -> float | None:
    """Return the pixels from one staff line to the next; None where no distance stands out.

    Down a column, five lines agree with themselves one, two and three distances further, and not halfway.
    """
    columns = ink[:, :: max(1, ink.shape[1] // 500)].T.astype(np.float64)
    columns = np.diff(columns, axis=1)  # edges: large shapes and shadows agree with themselves at every distance
    size = 2 * columns.shape[1]
    power = (np.abs(np.fft.rfft(columns, size)) ** 2).sum(axis=0)
    agreement = np.fft.irfft(power)[: columns.shape[1]]
    agreement = np.convolve(agreement, (0.25, 0.5, 0.25), "same")
    least, most = SPACES if about is None else (0.85 * about, 1.15 * about)
    tried = np.arange(least, min(most, len(agreement) / 4), 0.1)
    if not len(tried):
        return None

    def at(times: float) -> NDArray[np.float64]:
        return np.interp(times * tried, np.arange(len(agreement)), agreement)

    halfway = [np.maximum(at(times), 0) for times in (0.5, 1.5, 2.5)]  # below 0 an edge meets the other of its line
    fit = at(1) + at(2) + at(3) - np.sum(halfway, axis=0)
    best = int(fit.argmax())
    return float(tried[best]) if fit[best] >= LEAST_FIT * agreement[0] else None


def _scaled(ink: Floats, factor: float) -> Floats:
    from PIL import Image

    factor = min(factor, WIDEST / max(ink.shape))
    size = (max(1, round(ink.shape[1] * factor)), max(1, round(ink.shape[0] * factor)))
    filter_ = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    return np.asarray(np.clip(np.asarray(Image.fromarray(ink).resize(size, filter_)), 0, 1), np.float32)


def _skew(ink: Floats) -> float:
    """Return the degrees by which the page is to be turned."""
    from PIL import Image

    image = Image.fromarray(ink)
    image = image.reduce(2) if max(ink.shape) > 1200 else image

    def sharpness(degrees: float) -> float:
        rows = np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR)).sum(axis=1)
        return float(np.square(np.diff(rows)).sum())

    best = max(TURNS, key=sharpness)
    return float(max(best + np.arange(-0.2, 0.21, 0.05), key=sharpness))


def _turned(ink: Floats, degrees: float) -> Floats:
    from PIL import Image

    if abs(degrees) < 0.03:
        return ink
    turned = np.asarray(Image.fromarray(ink).rotate(degrees, Image.Resampling.BICUBIC, expand=True))
    return np.asarray(np.clip(turned, 0, 1), np.float32)


def _lines_only(ink: Floats, space: float) -> Floats:
    """Return what belongs to long horizontal runs: the mean of ink along some spaces, where it is thin."""
    size = int(3 * space) | 1
    total = np.cumsum(np.pad(ink, ((0, 0), (size // 2 + 1, size // 2))), axis=1)
    along = (total[:, size:] - total[:, :-size]) / size
    gap = max(1, round(space / 2))
    beside = np.pad(along, ((gap, gap), (0, 0)), mode="edge")
    return np.asarray(np.clip(along - 0.5 * (beside[: -2 * gap] + beside[2 * gap :]), 0, 1), np.float32)


def _comb(rows: NDArray[np.float64], space: float) -> NDArray[np.float64]:
    """Return how well five lines about each row fit, the weakest ones, and no sixth: lines of words go on."""
    height = len(rows)
    soft = np.maximum(rows, np.maximum(np.append(rows[1:], 0), np.append(0, rows[:-1])))
    lines = []
    for k in range(-3, 4):
        place = np.clip(np.arange(height) + round(k * space), 0, height - 1)
        lines.append(soft[place])
    weakest = np.sort(np.array(lines[1:-1]), axis=0)[:3].mean(axis=0)
    return np.asarray(weakest - np.maximum(lines[0], lines[-1]))


def _combs(ink: Floats, space: float) -> list[int]:
    """Return the rows of the middle lines of staves, from the top."""
    lines = _lines_only(ink, space)
    strips = max(1, int(lines.shape[1] / (7 * space)))
    parts = [_comb(part.mean(axis=1).astype(np.float64), space) for part in np.array_split(lines, strips, axis=1)]
    pairs = [(a + b) / 2 for a, b in pairwise(parts)] or parts  # a short staff has two strips
    soft = np.convolve(np.max(pairs, axis=0), np.ones(3) / 3, "same")
    found: list[int] = []
    order = np.argsort(-soft)
    least = max(0.08, CLEAR * float(soft.max()))
    for row in order[: 40 * MOST].tolist():
        if soft[row] < least:
            break
        if all(abs(row - other) > 5 * space for other in found) and 2 * space < row < len(soft) - 2 * space:
            found.append(row)
    return sorted(found)


def _follow(ink: Floats, middle: int, space: float) -> NDArray[np.float64]:
    """Return the row of the middle line at each column, (W,), from strip to strip."""
    lines = _lines_only(ink, space)
    width = ink.shape[1]
    step = max(4, int(STRIP * space))
    starts = np.arange(0, width, step)
    reach = round(1.6 * space)
    low, high = max(0, round(middle - 3.5 * space)), min(ink.shape[0], round(middle + 3.5 * space) + 1)
    centre = int(starts.searchsorted(width // 2)) - 1
    rows = np.full(len(starts), float(middle))
    for direction in (range(centre, len(starts)), range(centre - 1, -1, -1)):
        last = rows[centre]
        for index in direction:
            part = lines[low:high, max(0, starts[index] - step) : starts[index] + 2 * step].mean(axis=1)
            fit = _comb(part.astype(np.float64), space)
            places = np.arange(low, high)
            fit = fit - 0.02 * np.abs(places - last) / space
            fit[(np.abs(places - last) > 0.45 * space) | (np.abs(places - middle) > reach)] = -1
            best = int(fit.argmax())
            if fit[best] > 0.05:
                about = slice(max(0, best - 1), best + 2)
                weight = np.maximum(fit[about], 0)
                rows[index] = last = float((places[about] * weight).sum() / weight.sum())
            else:
                rows[index] = last
    smooth = np.convolve(np.pad(rows, 2, mode="edge"), np.ones(5) / 5, "valid")
    return np.asarray(np.interp(np.arange(width), starts + step / 2, smooth))


def _span(ink: Floats, middles: NDArray[np.float64], space: float) -> tuple[int, int]:
    """Return the first column of a staff and the one after its last: where at least four of its lines are."""
    columns = np.arange(ink.shape[1])

    def along(k: float, choose: Callable[..., Floats]) -> Floats:
        rows = np.clip(np.round(middles + k * space).astype(np.int64), 1, ink.shape[0] - 2)
        return choose.reduce([ink[rows + d, columns] for d in (-1, 0, 1)])  # type: ignore[attr-defined,no-any-return]

    size = max(3, int(2 * space)) | 1
    flat = np.ones(size) / size
    lines = np.sort([np.convolve(along(k, np.maximum), flat, "same") for k in range(-2, 3)], axis=0)[1:3].mean(axis=0)
    gaps = np.median([np.convolve(along(k, np.minimum), flat, "same") for k in (-1.5, -0.5, 0.5, 1.5)], axis=0)
    there = lines - gaps > PRESENT
    inside = np.flatnonzero(there)
    if not len(inside):
        return 0, 0
    breaks = np.flatnonzero(np.diff(inside) > 6 * space)
    groups = np.split(inside, breaks + 1)
    longest = max(groups, key=len)
    return int(longest[0]), int(longest[-1]) + 1


def _cut(ink: Floats, middles: NDArray[np.float64], span: tuple[int, int], space: float) -> Pixels:
    """Return a staff's picture: a space of margin at both ends, bent lines straight."""
    left, right = span[0] - space, span[1] + space
    width = max(SPACE, round((right - left) / space * SPACE))
    x = left + (np.arange(width) + 0.5) * space / SPACE
    middle = np.interp(x, np.arange(len(middles)), middles)
    y = middle[None] + (np.arange(HEIGHT)[:, None] + 0.5 - (ABOVE + 2) * SPACE) * space / SPACE
    padded = np.pad(ink, 1)
    rows, columns = np.clip(y + 1, 0, padded.shape[0] - 1.001), np.clip(x + 1, 0, padded.shape[1] - 1.001)
    top, first = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, along = rows - top, (columns - first)[None]
    upper = padded[top, first] * (1 - along) + padded[top, first + 1] * along
    lower = padded[top + 1, first] * (1 - along) + padded[top + 1, first + 1] * along
    return np.asarray(255 * (1 - np.clip(upper * (1 - down) + lower * down, 0, 1)), np.uint8)


def _joined(
    ink: Floats,
    one: tuple[NDArray[np.float64], tuple[int, int]],
    other: tuple[NDArray[np.float64], tuple[int, int]],
    space: float,
) -> bool:
    """Return true where a line at the left end leads from one staff to the next."""
    left = max(0, round(min(one[1][0], other[1][0]) - space)), round(max(one[1][0], other[1][0]) + space)
    if abs(one[1][0] - other[1][0]) > 3 * space:
        return False
    top = round(float(one[0][left[1]] + 2.5 * space))
    bottom = round(float(other[0][left[1]] - 2.5 * space))
    part = ink[top:bottom, left[0] : left[1]]
    return bool(part.size and ((part > 0.4).mean(axis=0) > 0.9).any())

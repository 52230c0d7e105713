"""`--contour`: a line that the new tune follows in its rise and fall, hummed, played, or given as numbers.

A line is two points or more, in semitones from anywhere, stretched over the new bars. A model that knows contours
(`melody.tokens.contour`) is told at each half of a bar how high the line lies there beside its own middle. It is no
rule: what the model writes stays in its style.
"""

import re
from collections.abc import Sequence

import numpy as np

from melody.errors import UsageError
from melody.music.quantize import quantize
from melody.music.score import Score
from melody.tokens.contour import curve_of
from melody.tokens.harmony import tune_of

Line = tuple[float, ...]
MOST = 1024  # points
WIDEST = 64.0  # semitones that a point may lie from the first one
POINTS = 64  # of the line of a score


def parse_contour(text: str) -> Line:
    """Read "0 4 7 4 0" as a line. Raises `UsageError`."""
    try:
        line = tuple(float(word) for word in re.split(r"[\s,;]+", text.strip()))
    except ValueError:
        raise UsageError(
            f"`contour` {text[:60]!r}: give a file with a tune or a voice, or semitones in a row, as 0 4 7 4 0"
        ) from None
    check_contour(line)
    return line


def check_contour(line: Sequence[float]) -> None:
    """Raise `UsageError` for what is no line."""
    if not 2 <= len(line) <= MOST:
        raise UsageError(f"`contour`: a line has 2 to {MOST:,} points, in semitones; got {len(line):,}")
    if not np.isfinite(line).all() or np.ptp(line) > WIDEST:
        raise UsageError(f"`contour`: points are semitones, within {WIDEST:g} of each other")


def line_of(score: Score, name: str) -> Line:
    """The line of the tune of a score. Raises `UsageError` where it has none; `name` is the file's."""
    score = quantize(score)
    tune = tune_of(score)
    if not len(tune.onset):
        raise UsageError(f"`contour` {name}: no pitched note is in it; give a tune")
    tune = tune._replace(onset=tune.onset - tune.onset.min())
    curve = curve_of(tune, int((tune.onset + tune.duration).max()))
    return tuple(round(float(part.mean()), 2) for part in np.array_split(curve, min(POINTS, len(curve))))

"""Durations as an engraver writes them: a bar's meter as a tree, and time as note values, tuplets and beams.

Times are grid ticks (24 a quarter) from the beginning of the bar. A bar has groups (halves of 4/4, dotted quarters of
6/8), a group has beats, a beat is halved on. Time is cut until each piece is one written value that shows the beats::

    4/4   |  group 0..48  |  group 48..96  |      from 36 for a quarter: an eighth, tied over the middle to an eighth
          | 24    |   24  |  24    |   24  |      from 12 for a quarter: one note, as it lies within a group

Where cuts do not lie on 32nds, the smallest stretch that holds them becomes a triplet: 48, 24, 12, 6 or 3 ticks.
Source: Elaine Gould, Behind Bars (Faber 2011), "Grouping note values", "Tuplets".
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

TYPES = ("64th", "32nd", "16th", "eighth", "quarter", "half", "whole", "breve")
# ticks -> (type, dots); 3 ticks are a 32nd
PLAIN = {3 * 2**step: TYPES[1 + step] for step in range(7)}
STRAIGHT = (
    {ticks: (kind, 0) for ticks, kind in PLAIN.items()}
    | {ticks * 3 // 2: (kind, 1) for ticks, kind in PLAIN.items() if ticks > 3}
    | {ticks * 7 // 4: (kind, 2) for ticks, kind in PLAIN.items() if 6 < ticks < 96}
)
# ticks of a value under a triplet: 1 is a 64th, 2 a 32nd
TRIPLET = {2**step: (TYPES[step], 0) for step in range(6)} | {3 * 2**step: (TYPES[step + 1], 1) for step in range(4)}
FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}
EIGHTH, QUARTER = 12, 24


class Meter(NamedTuple):
    """A bar's length, where its groups begin (and, last, its end), and its beat, all in ticks."""

    length: int
    edges: tuple[int, ...]
    beat: int
    is_square: bool  # 4/4 and 2/2: whole beats may cross the middle

    def group(self, tick: int) -> tuple[int, int]:
        """Return the group that holds a tick."""
        index = max(i for i, edge in enumerate(self.edges[:-1]) if edge <= tick)
        return self.edges[index], self.edges[index + 1]

    def begins(self, tick: int) -> bool:
        """Tell whether a beat begins, or the bar ends, at a tick."""
        return tick == self.length or not (tick - self.group(tick)[0]) % self.beat


class Value(NamedTuple):
    """One written note, chord or rest: its place in ticks, how it looks, and the triplet it belongs to."""

    start: int
    stop: int
    kind: str
    dots: int
    triplet: tuple[int, int] | None = None

    @property
    def flags(self) -> int:
        """Return the number of its flags or beams."""
        return FLAGS.get(self.kind, 0)


@lru_cache(256)
def meter_of(numerator: int, denominator: int) -> Meter:
    """Return the tree of a time signature; 5/4 and 7/8 end with their group of three."""
    while denominator > 32:  # its bars are whole 32nds all the same
        numerator, denominator = numerator // 2, denominator // 2
    unit, length = 4 * QUARTER // denominator, 4 * QUARTER * numerator // denominator
    if denominator <= 2:
        return _grouped([2 * QUARTER] * (length // (2 * QUARTER)), QUARTER, (numerator, denominator) == (2, 2))
    if numerator % 3 == 0:
        return _grouped([3 * unit] * (length // (3 * unit)), unit, False)
    count = length // unit
    groups = [2 * unit] * (count // 2) if count % 2 == 0 else [2 * unit] * (count // 2 - 1) + [3 * unit]
    return _grouped(groups if count > 1 else [length], unit, (numerator, denominator) == (4, 4))


def _grouped(groups: Sequence[int], beat: int, is_square: bool) -> Meter:
    edges = tuple(sum(groups[:index]) for index in range(len(groups) + 1))
    return Meter(edges[-1], edges, beat, is_square)


# ---- triplets --------------------------------------------------------------------------------------------------------


def triplets(cuts: Iterable[int], meter: Meter) -> list[tuple[int, int]]:
    """Return the stretches of a bar to be written as triplets, so that every cut is on a written value."""
    found: list[tuple[int, int]] = []
    inside = sorted({cut for cut in cuts if 0 < cut < meter.length})
    for start, stop in pairwise(meter.edges):
        size = stop - start if (stop - start) // meter.beat == 2 else meter.beat
        for begin in range(start, stop, size):
            found += _triplets(begin, size, inside)
    return found


def _triplets(start: int, size: int, cuts: Sequence[int]) -> list[tuple[int, int]]:
    here = [cut - start for cut in cuts if start < cut < start + size]
    half = size // 2
    if all(cut % 3 == 0 for cut in here):
        return []
    if all(cut % (size // 3) == 0 for cut in here):
        return [(start, start + size)]
    both_halves = min(here) < half < max(here)
    if 6 <= size <= QUARTER and both_halves and all(cut % (size // 6) == 0 for cut in here):
        return [(start, start + size)]
    return _triplets(start, half, cuts) + _triplets(start + half, half, cuts)


# ---- values ----------------------------------------------------------------------------------------------------------


def values(start: int, stop: int, meter: Meter, tuplets: Sequence[tuple[int, int]], is_rest: bool) -> list[Value]:
    """Return a stretch of a bar as written values, each tied to the next where it is a note."""
    result: list[Value] = []
    now = start
    while now < stop:
        inside = next((t for t in tuplets if t[0] <= now < t[1]), None)
        ahead = min((t[0] for t in tuplets if t[0] > now), default=stop)
        end = min(stop, inside[1] if inside else ahead)
        if inside:
            result += [Value(a, b, *TRIPLET[b - a], inside) for a, b in _in_triplet(now, end, inside)]
        else:
            result += [Value(a, b, *STRAIGHT[b - a]) for a, b in _cut_up(now, end, meter, is_rest)]
        now = end
    return result


def _in_triplet(start: int, stop: int, triplet: tuple[int, int]) -> list[tuple[int, int]]:
    if stop - start in TRIPLET:
        return [(start, stop)]
    thirds = range(*triplet, (triplet[1] - triplet[0]) // 3)
    inside = [edge for edge in thirds if start < edge < stop]
    cut = inside[-1] if start in thirds else inside[0]
    return [*_in_triplet(start, cut, triplet), *_in_triplet(cut, stop, triplet)]


def _cut_up(start: int, stop: int, meter: Meter, is_rest: bool) -> list[tuple[int, int]]:
    if _is_readable(start, stop, meter, is_rest):
        return [(start, stop)]
    cut = _cut(start, stop, meter)
    return [*_cut_up(start, cut, meter, is_rest), *_cut_up(cut, stop, meter, is_rest)]


def _is_readable(start: int, stop: int, meter: Meter, is_rest: bool) -> bool:
    """Tell whether one value from `start` to `stop` exists and shows the beats."""
    if stop - start not in STRAIGHT:
        return False
    if (start, stop) == (0, meter.length):
        return True
    first, last = meter.group(start)
    if is_rest:
        return _is_readable_rest(start - first, stop - first, last - first, meter.beat)
    if stop > last:
        on_beats = meter.begins(start) and meter.begins(stop)
        return on_beats and (meter.is_square or {start, stop} <= set(meter.edges))
    return _is_readable_in_group(start - first, stop - first, meter.beat)


def _is_readable_in_group(start: int, stop: int, beat: int) -> bool:
    if start // beat == (stop - 1) // beat:
        return _is_binary(start % beat, (stop - 1) % beat + 1)
    if start % beat == stop % beat == 0:
        return True
    if (stop - 1) // beat - start // beat > 1:
        return False
    ticks = stop - start
    syncopated = ticks == beat and 2 * (start % beat) == beat
    dotted = 2 * ticks == 3 * beat and 0 in (start % beat, stop % beat)
    return syncopated or dotted or (4 * ticks == 7 * beat and start % beat == 0)


def _is_binary(start: int, stop: int) -> bool:
    """Tell, within a beat that is halved on, whether a value lies on its grid or in the middle of one twice as long."""
    _, dots = STRAIGHT[stop - start]
    plain = stop - start if not dots else (stop - start) * 2 // 3 if dots == 1 else (stop - start) * 4 // 7
    window = 2 * plain
    if dots == 0:
        return start % plain == 0 or 2 * (start % window) == plain
    return start // window == (stop - 1) // window and (start % window == 0 or (dots == 1 and stop % window == 0))


def _is_readable_rest(start: int, stop: int, group: int, beat: int) -> bool:
    """Tell the same of a rest: it never syncopates; halves of 4/4 and beats of three eighths have their own."""
    if stop > group:
        return False
    ticks, dots = stop - start, STRAIGHT[stop - start][1]
    if start // beat == (stop - 1) // beat:
        return dots == 0 and start % beat % ticks == 0
    return start == 0 and (ticks == group if group == 2 * beat else beat < QUARTER)


def _cut(start: int, stop: int, meter: Meter) -> int:
    """Return the first place to cut: at a group, else at a beat, else at the largest part of a beat."""
    first, _ = meter.group(start)
    scales = [meter.edges, range(first, meter.length, meter.beat)]
    size = meter.beat
    while size > 3:
        size //= 2
        scales.append(range(first, meter.length, size))
    for scale in scales:
        inside = [tick for tick in scale if start < tick < stop]
        if inside:
            return inside[-1] if start in scale else inside[0]
    raise ValueError(f"no cut between {start} and {stop}: they do not lie on 32nds")


# ---- beams -----------------------------------------------------------------------------------------------------------


def beams(line: Sequence[tuple[Value, bool]], meter: Meter) -> list[list[str]]:
    """Return the words of the beams of each value of a voice, from the first beam on; [] has none."""
    result: list[list[str]] = [[] for _ in line]
    run: list[int] = []
    place: tuple[int, int] | None = None
    whole = _whole_groups(line, meter)
    for index, (value, sounds) in enumerate([*line, (Value(0, 0, "", 0), False)]):
        here = _beam_place(value.start, meter, whole) if sounds and value.flags else None
        if here is None or here != place:
            _join(run, line, result)
            run, place = [], here
        if here is not None:
            run.append(index)
    return result


def _whole_groups(line: Sequence[tuple[Value, bool]], meter: Meter) -> set[int]:
    """Return the beginnings of the groups that hold nothing but eighths: one beam joins them."""
    plain = {value.start for value, sounds in line if sounds and value.kind == "eighth" and value.dots == 0}
    straight = plain - {value.start for value, _ in line if value.triplet}
    pairs = pairwise(meter.edges)
    return {start for start, stop in pairs if set(range(start, stop, EIGHTH)) <= straight}


def _beam_place(start: int, meter: Meter, whole: set[int]) -> tuple[int, int]:
    first, _ = meter.group(start)
    joined = meter.beat < QUARTER or first in whole
    return first, 0 if joined else (start - first) // meter.beat


def _join(run: Sequence[int], line: Sequence[tuple[Value, bool]], result: list[list[str]]) -> None:
    """Write the beams of one run of values."""
    flags = [line[index][0].flags for index in run]
    for place, index in enumerate(run if len(run) > 1 else ()):
        for level in range(1, flags[place] + 1):
            before = place > 0 and flags[place - 1] >= level
            after = place + 1 < len(run) and flags[place + 1] >= level
            hook = "backward hook" if place > 0 else "forward hook"
            word = {(True, True): "continue", (True, False): "end", (False, True): "begin"}.get((before, after), hook)
            result[index].append(word)

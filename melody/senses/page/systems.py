"""Staves that sound together, made to agree: on bar lines, meters and lengths of bars.

    upper   clef key 3/4 | note note note | ...      a meter misread: bars of 4 quarters
    lower   clef key 4/4 | note note note   ...      a bar line missed

The staves of a system have their bar lines at the same places, so a line that is seen on one is there on the others.
All staves have one meter: of those that were read, the one that most bars fill, or another where nearly all fill that.
A bar that is as long as two has lost the line between them.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import groupby, islice

from melody.senses.page.bars import SURE, TRIPLET, Meter, PageBar, ReadSymbol

NEAR = 3.0  # spaces within which lines on two staves are one
ROOM = 5.0  # spaces before a line in which a note stands that was not seen
CHANGED = 3  # bars in a row that are as much too short: a change of meter that was not seen
READ = 2  # bars for which a meter counts that was read
MOST_NOTES, MOST_CHOICES = 24, 500  # of a bar in which triplets are looked for
Staff = list[ReadSymbol]


def agreed(system: Sequence[Staff]) -> list[Staff]:
    """Return the symbols of staves that sound together, with the same bar lines on each, and in each bar something."""
    found = _lines(system)
    divided = []
    for number, staff in enumerate(system):
        seen = [line[number] for line in found if number in line]
        symbols = [symbol for symbol in staff if not _is_line(symbol) or symbol in seen]
        for line in found:
            if number not in line:
                insort(symbols, max(line.values(), key=lambda symbol: symbol.sure), key=lambda symbol: symbol.at)
        divided.append(_divided(symbols))
    before = 0.0  # where the last line stands
    for bars in zip(*divided, strict=True):
        silent = [not any(symbol.text.startswith(("note", "rest")) for symbol in bar) for bar in bars]
        wide = all(_is_wide(bar, before) for bar in bars)
        for bar, is_silent in zip(bars, silent, strict=True):
            if is_silent and (wide or not all(silent)):
                bar.insert(len(bar) - any(map(_is_line, bar)), ReadSymbol("rest.1", 0.0))
        before = max(symbol.at for bar in bars for symbol in bar) if any(bars) else before
    return [[symbol for bar in bars for symbol in bar] for bars in divided]


def _lines(system: Sequence[Staff]) -> list[dict[int, ReadSymbol]]:
    """Return each bar line as it stands on the staves, by number; one that a single staff may have is left out."""
    found: list[dict[int, ReadSymbol]] = []
    rows = ((symbol.at, number, symbol) for number, staff in enumerate(system) for symbol in staff if _is_line(symbol))
    for at, number, symbol in sorted(rows):
        last = found[-1] if found else {number: symbol}
        if number in last or at - min(other.at for other in last.values()) > NEAR:
            found.append({number: symbol})
        else:
            last[number] = symbol
    return [line for line in found if len(line) == len(system) or max(s.sure for s in line.values()) >= SURE]


def _is_line(symbol: ReadSymbol) -> bool:
    return symbol.text.startswith("bar")


def _is_wide(bar: Staff, before: float) -> bool:
    """Return true where a note has room between the end of a bar and what stands before it."""
    if not bar or not _is_line(bar[-1]):
        return False
    return bar[-1].at - max([before, *(symbol.at for symbol in bar[:-1])]) >= ROOM


def _divided(staff: Staff) -> list[Staff]:
    """Return symbols bar by bar, each with the line at its end; the last one may be empty."""
    bars: list[Staff] = [[]]
    for symbol in staff:
        bars[-1].append(symbol)
        if _is_line(symbol):
            bars.append([])
    return bars


def settled(parts: Sequence[Sequence[PageBar]]) -> list[list[PageBar]]:
    """Return the bars of parts, of which each has as many, in the meters that most of them fill."""
    result: list[list[PageBar]] = [[] for _ in parts]
    before: list[Meter] = []
    columns = zip(*parts, strict=True)
    for read, stretch in groupby(columns, key=lambda column: tuple(bar.meter for bar in column)):
        rows = list(stretch)
        meter = _meter([*read, *before], len(set(read)), [bar for row in rows for bar in row])
        before = [meter]
        for length, run in groupby(rows, key=_length):
            same = list(run)
            changed = 0 < length < Fraction(4 * meter[0], meter[1]) and len(same) >= CHANGED
            for row in same:
                divided = _undivided(row, meter_of(length, meter[1]) if changed else meter)
                for part, bars in zip(result, divided, strict=True):
                    part += bars
    return result


def _length(row: Sequence[PageBar]) -> Fraction:
    """Return the length that all bars of a column have; 0 where they differ, or are silent."""
    found = {bar.length for bar in row}
    return found.pop() if len(found) == 1 and not row[0].silent else Fraction(0)


def _meter(known: Sequence[Meter], read: int, bars: Sequence[PageBar]) -> Meter:
    """Return the meter of bars: of the known ones, of which the first so many were read here, or the usual length's."""
    filled = Counter(bar.length for bar in bars if not bar.silent)
    usual = [meter_of(length) for length, _ in filled.most_common(1)]
    asked = known[:read]

    def fits(meter: Meter) -> int:
        return filled[Fraction(4 * meter[0], meter[1])] + READ * (meter in asked)

    return max([*known, *usual], key=fits)


def _undivided(row: Sequence[PageBar], meter: Meter) -> list[list[PageBar]]:
    """Return the bars of one column in a meter, divided where each part has lost a line there."""
    rests = [replace(bar, meter=meter) for bar in row]
    rests = [replace(bar, length=bar.full) if bar.silent else bar for bar in rests]
    full = rests[0].full
    result: list[list[PageBar]] = [[] for _ in row]
    while all(_goes_on(bar) for bar in rests) and any(bar.length % full == 0 for bar in rests):
        for part, bar in zip(result, rests, strict=True):
            part.append(bar.before(full))
        rests = [bar.behind(full) for bar in rests]
    for part, bar in zip(result, rests, strict=True):
        part.append(with_triplets(bar))
    return result


def with_triplets(bar: PageBar) -> PageBar:
    """Return a bar that is too long with the triplets whose number was not seen: those notes that stand closest.

    Three notes of a length last a third less, and begin where two of them make a beat.
    """
    over = bar.length - bar.full
    if over <= 0 or len(bar.onsets) > MOST_NOTES:
        return bar
    ends = [*bar.onsets[1:], bar.length]
    steps = [end - onset for onset, end in zip(bar.onsets, ends, strict=True)]
    found = list(islice(_groups(steps, 0, Fraction(0), over), MOST_CHOICES))
    if not found:
        return bar
    places = [*bar.places, bar.ends_at]
    chosen = min(found, key=lambda group: sum(places[first + 3] - places[first] for first in group))
    onsets, at = [], Fraction(0)
    for index, step in enumerate(steps):
        onsets.append(at)
        at += step * TRIPLET if any(0 <= index - first < 3 for first in chosen) else step
    moved = dict(zip(bar.onsets, zip(onsets, [*onsets[1:], at], strict=True), strict=True))
    notes = []
    for note in bar.notes:
        start, stop = moved[note.onset]
        notes.append(note._replace(onset=start, duration=min(note.duration, stop - start)))
    return replace(bar, notes=notes, onsets=onsets, length=at, unsure=bar.unsure + 1)


def _groups(steps: Sequence[Fraction], first: int, at: Fraction, over: Fraction) -> Iterator[list[int]]:
    """Yield the choices of three equal steps from one on that take so many quarters away, by their first ones."""
    if over == 0:
        yield []
        return
    for index in range(first, len(steps) - 2):
        step = steps[index]
        if steps[index : index + 3] == [step] * 3 and step <= over and at % (2 * step) == 0:
            for others in _groups(steps, index + 3, at + 2 * step, over - step):
                yield [index, *others]
        at += step


def _goes_on(bar: PageBar) -> bool:
    return bar.length > bar.full and bar.full in bar.onsets


def lengths(parts: Sequence[Sequence[PageBar]]) -> list[Fraction]:
    """Return the length of each bar in quarters: as its meter says, but for a pickup, and two that make up one."""
    columns = list(zip(*parts, strict=True))
    result = []
    for index, column in enumerate(columns):
        full = column[0].full
        own = [bar.length for bar in sorted(column, key=lambda bar: bar.unsure) if not bar.silent]
        short = own if own and max(own) < full else []
        others = {bar.length for other in _beside(columns, index) for bar in other if not bar.silent}
        whole = [length for length in short if full - length in others]
        result.append([*whole, *(short if index == 0 else []), full][0])
    return result


def _beside(columns: Sequence[Sequence[PageBar]], index: int) -> list[Sequence[PageBar]]:
    """Return the bars with which a short one may make up one: across a repeat sign, or the pickup and the last."""
    ends, last = columns[index][0].ends_repeat, len(columns) - 1
    others = [0] if index == last or ends else []
    others += [last] if index == 0 else []
    others += [index + 1] if ends and index < last else []
    others += [index - 1] if index and columns[index - 1][0].ends_repeat else []
    return [columns[other] for other in others if other != index]


def meter_of(length: Fraction, unit: int = 4) -> Meter:
    """Return the meter of a bar of so many quarters, in such units where it has whole ones."""
    for denominator in (unit, 4, 8, 16, 32):
        units = length * denominator / 4
        if units.denominator == 1:
            return int(units), denominator
    return max(1, round(length * 8)), 32

"""A score cut into bars, and each staff's music in a bar as written values: the material of any notation file.

Times are grid ticks; inside a bar they count from its beginning.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from melody.formats.notation.rhythm import QUARTER, Meter, Value, beams, meter_of, triplets, values
from melody.formats.notation.staves import Staff
from melody.formats.notation.voicing import SpelledNote, voices
from melody.music.score import Score, bars, end_tick, meters


class NotatedBar(NamedTuple):
    """A bar of the score. A pickup is written in the meter of the bar that follows it."""

    number: int  # 0 for a pickup
    start: int
    stop: int
    meter: tuple[int, int]
    is_pickup: bool
    changes_meter: bool


@dataclass(frozen=True)
class WrittenValue:
    """A value with its notes (none: a rest), its beams, and whether a rest is hidden."""

    value: Value
    tones: tuple[SpelledNote, ...]
    beams: tuple[str, ...]
    is_hidden: bool = False


@dataclass(frozen=True)
class BarVoice:
    """A voice in a bar: its number on the staff from 0, which way its stems go ("" as they fall), and its values."""

    voice: int
    stem: str
    values: tuple[WrittenValue, ...]


def bars_of(score: Score) -> list[NotatedBar]:
    """Return the bars of a quantised score."""
    lines = bars(score, max(1, end_tick(score))).tolist()
    changes = meters(score)
    result: list[NotatedBar] = []
    starts = [change[0] for change in changes]
    shown = None
    pickup = _has_pickup(changes, lines)
    for index, (start, stop) in enumerate(pairwise(lines)):
        meter = changes[1][1:] if pickup and not index else changes[bisect_right(starts, start) - 1][1:]
        is_pickup = pickup and not index
        result.append(NotatedBar(index + (not pickup), start, stop, meter, is_pickup, meter != shown))
        shown = meter
    return result


def _has_pickup(changes: Sequence[tuple[int, int, int]], lines: Sequence[int]) -> bool:
    """Tell whether the first bar is a pickup: short, in a meter of its own that could not be meant otherwise."""
    if len(lines) < 3 or len(changes) < 2 or changes[1][0] != lines[1]:
        return False
    _, numerator, denominator = changes[0]
    in_largest_unit = denominator == 4 or (numerator % 2 == 1 and denominator > 4)
    return in_largest_unit and lines[1] < lines[2] - lines[1]


# ---- a staff in a bar ------------------------------------------------------------------------------------------------


def tones_by_bar(line: Sequence[SpelledNote], bars: Sequence[NotatedBar]) -> list[list[SpelledNote]]:
    """Return the notes that sound in each bar."""
    starts = [bar.start for bar in bars]
    result: list[list[SpelledNote]] = [[] for _ in bars]
    for tone in line:
        for index in range(bisect_right(starts, tone.onset) - 1, bisect_left(starts, tone.end)):
            result[index].append(tone)
    return result


def voices_in_bar(staff: Staff, here: list[list[SpelledNote]], bar: NotatedBar, is_drum: bool) -> list[BarVoice]:
    """Return the voices of a staff in a bar with these notes; each fills the bar, with rests if need be."""
    meter = meter_of(*bar.meter)
    if bar.is_pickup:
        meter = _end_of(meter, bar.stop - bar.start)
    if staff.is_free:
        here = voices(here[0]) if here[0] else [[]]
        stems = ["up", "down"] if len(here) > 1 else [""]
    else:
        stems = ["up", "down"][: len(here)]
    kept = (
        [pair for pair in zip(here, stems, strict=True) if pair[0]] if is_drum else list(zip(here, stems, strict=True))
    )
    if not any(here):
        kept = [([], "")]
    if is_drum:
        kept = [(_hits(tones, bar, meter), stem) for tones, stem in kept]
    hides = staff.is_free or is_drum
    return _without_double_rests(
        [
            BarVoice(number, stem, tuple(_written(tones, bar, meter, is_drum, hides and number > 0)))
            for number, (tones, stem) in enumerate(kept)
        ]
    )


def _without_double_rests(lines: list[BarVoice]) -> list[BarVoice]:
    """Hide the rests of other voices that the first one has too."""
    seen = {written.value for written in lines[0].values if not written.tones}

    def hidden(written: WrittenValue) -> WrittenValue:
        return replace(written, is_hidden=True) if not written.tones and written.value in seen else written

    return [lines[0], *(replace(line, values=tuple(map(hidden, line.values))) for line in lines[1:])]


def _end_of(meter: Meter, length: int) -> Meter:
    """Return the last `length` ticks of a meter: a pickup is counted so."""
    cut = meter.length - length
    edges = (0, *(edge - cut for edge in meter.edges if edge > cut))
    on_beat = all((after - before) % meter.beat == 0 for before, after in pairwise(edges))
    return Meter(length, edges, meter.beat if on_beat else 3, False)


def _hits(tones: Sequence[SpelledNote], bar: NotatedBar, meter: Meter) -> list[SpelledNote]:
    """Return the hits, each up to the next one or to the end of its beat: drums ring as they will."""
    onsets = sorted({tone.onset - bar.start for tone in tones if tone.onset >= bar.start})
    result = []
    for tone in tones:
        onset = tone.onset - bar.start
        if onset < 0:
            continue
        first, last = meter.group(onset)
        beat = onset + meter.beat - (onset - first) % meter.beat if meter.beat >= QUARTER else last
        end = min([beat, *(other for other in onsets if other > onset)])
        result.append(tone._replace(end=bar.start + end))
    return result


def _written(
    tones: Sequence[SpelledNote], bar: NotatedBar, meter: Meter, is_drum: bool, hides_rests: bool
) -> list[WrittenValue]:
    length = bar.stop - bar.start
    spans = [(max(0, t.onset - bar.start), min(length, t.end - bar.start), t) for t in tones]
    cuts = sorted({0, length, *(s[0] for s in spans), *(s[1] for s in spans)})
    tuplets = triplets(cuts, meter)
    held: list[tuple[Value, tuple[SpelledNote, ...]]] = []
    for start, stop in pairwise(cuts):
        sounding = tuple(sorted((t for a, b, t in spans if a <= start and b >= stop), key=lambda t: t.pitch))
        if sounding or len(cuts) > 2 or bar.is_pickup:
            pieces = values(start, stop, meter, tuplets, not sounding)
            held += [
                (value, sounding if value is pieces[0] or not is_drum else ()) for value in pieces
            ]  # no drum is tied
        else:
            held.append((Value(0, length, "", 0), ()))  # a rest for the whole bar
    joins = beams([(value, bool(sounding)) for value, sounding in held], meter)
    return [
        WrittenValue(value, sounding, tuple(join), hides_rests and not sounding)
        for (value, sounding), join in zip(held, joins, strict=True)
    ]


__all__ = ["BarVoice", "NotatedBar", "WrittenValue", "bars_of", "voices_in_bar"]

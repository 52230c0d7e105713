"""Signs over and between the notes: keys, tempos, chord symbols, rehearsal marks and words, bar by bar.

Markers are chord symbols where `melody.music.chords` finds that they are; else short ones are rehearsal marks, long
ones words. Of a tempo curve only the opening tempo and what lastingly differs from it is printed; the rest is for
playback.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from xml.etree.ElementTree import Element

from melody.formats.notation.bars import NotatedBar
from melody.formats.notation.chord_symbols import is_symbol, write_harmony
from melody.formats.notation.staves import StaffPart
from melody.formats.xml import add
from melody.music.progressions import markers_as_chords
from melody.music.score import GRID, Score, rescale
from melody.storage.display import shown

SLOWEST_QPM, FASTEST_QPM = 4, 10_000
LONGEST_REHEARSAL_MARK = 12
AUDIBLE = 0.08  # the share by which a tempo must differ to be printed


@dataclass(frozen=True)
class Direction:
    """One sign, `tick` grid ticks after its bar's beginning. One of what follows is set."""

    tick: int
    sharps: int | None = None
    mode: str = ""
    qpm: float | None = None
    is_printed: bool = True
    beat: tuple[str, int, float] = ("quarter", 0, 1.0)  # type, dots, quarters
    text: str = ""
    symbol: str = ""  # of a chord

    @property
    def is_for_all(self) -> bool:
        """Tell whether it stands in every part, not in the first alone."""
        return self.sharps is not None

    def write_key(self, attributes: Element, is_drum: bool) -> None:
        """Write a key signature; drums have none to be seen."""
        key = add(attributes, "key", **({"print-object": "no"} if is_drum else {}))
        add(key, "fifths", self.sharps)
        add(key, "mode", self.mode)

    def write(self, measure: Element, part: StaffPart) -> None:
        """Write the sign at the end of what the measure holds."""
        if self.sharps is not None:
            self.write_key(add(measure, "attributes"), part.is_drum)
        elif self.symbol:
            write_harmony(measure, self.symbol)
        elif self.text:
            text = shown(self.text)
            is_mark = len(text) <= LONGEST_REHEARSAL_MARK
            add(_direction_type(measure, len(part.staves))[1], "rehearsal" if is_mark else "words", text)
        elif self.qpm is not None:
            _write_tempo(measure, self, len(part.staves))


def directions_of(score: Score, quantized: Score, bars: Sequence[NotatedBar]) -> list[list[Direction]]:
    """Return the signs of each bar in order of time; keys are those of the quantised score."""
    by_tick = [
        (key.time, Direction(0, sharps=key.key, mode=("major", "minor")[key.tonality]))
        for key in quantized.key_signatures
    ]
    by_tick += _markers(score)
    by_tick += _tempos(score, bars)
    starts = [bar.start for bar in bars]
    result: list[list[Direction]] = [[] for _ in bars]
    for tick, mark in sorted(by_tick, key=lambda item: item[0]):
        index = bisect_right(starts, tick) - 1
        if tick < bars[index].stop:
            result[index].append(replace(mark, tick=tick - bars[index].start))
    return result


# ---- markers ---------------------------------------------------------------------------------------------------------


def _markers(score: Score) -> list[tuple[int, Direction]]:
    """Return the markers, as chord symbols where the score's speak of chords."""
    has_chords = bool(markers_as_chords(score))
    result = []
    for marker in sorted(score.markers, key=lambda marker: marker.time):
        tick, text = rescale(max(0, marker.time), score.tpq, GRID), marker.text.strip()
        if has_chords and is_symbol(text):
            result.append((tick, Direction(0, symbol=text)))
        elif text:
            result.append((tick, Direction(0, text=text)))
    return result


# ---- tempos ----------------------------------------------------------------------------------------------------------


def _tempos(score: Score, bars: Sequence[NotatedBar]) -> list[tuple[int, Direction]]:
    found = {
        rescale(max(0, tempo.time), score.tpq, GRID): min(max(tempo.qpm, SLOWEST_QPM), FASTEST_QPM)
        for tempo in sorted(score.tempos, key=lambda tempo: tempo.time)
    }
    ticks = sorted(found)
    starts = [bar.start for bar in bars]
    on_bar_lines = set(starts)
    result, printed = [], 0.0
    for tick, after in zip_longest(ticks, ticks[1:]):
        qpm = round(found[tick], 3)  # MIDI's microseconds leave 89.999955 of 90
        lasts = after is None or after - tick >= 2 * GRID
        shown = tick == 0 or (tick in on_bar_lines and lasts and abs(qpm / (printed or 1e-9) - 1) > AUDIBLE)
        printed = qpm if shown else printed
        meter = bars[bisect_right(starts, tick) - 1].meter
        result.append((tick, Direction(0, qpm=qpm, is_printed=shown, beat=_beat(meter))))
    return result


def _beat(meter: tuple[int, int]) -> tuple[str, int, float]:
    """Return the value that a metronome counts: dotted quarters in 6/8, halves in 2/2."""
    numerator, denominator = meter
    if denominator == 8 and numerator % 3 == 0 and numerator > 3:
        return "quarter", 1, 1.5
    return ("half", 0, 2.0) if denominator == 2 else ("quarter", 0, 1.0)


def _write_tempo(measure: Element, mark: Direction, staves: int) -> None:
    sound = {"tempo": f"{mark.qpm:.3f}".rstrip("0").rstrip(".")}
    if not mark.is_printed:
        add(measure, "sound", **sound)
        return
    direction, kind = _direction_type(measure, staves)
    metronome = add(kind, "metronome")
    name, dots, quarters = mark.beat
    add(metronome, "beat-unit", name)
    for _ in range(dots):
        add(metronome, "beat-unit-dot")
    add(metronome, "per-minute", round((mark.qpm or 0) / quarters))
    add(direction, "sound", **sound)


def _direction_type(measure: Element, staves: int) -> tuple[Element, Element]:
    """Return a direction over the first staff, and the element for its content."""
    direction = add(measure, "direction", placement="above")
    kind = add(direction, "direction-type")
    if staves > 1:
        add(direction, "staff", 1)
    return direction, kind

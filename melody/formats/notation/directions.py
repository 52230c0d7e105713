"""What stands over and between the notes: keys, tempos, chord symbols, rehearsal marks and words, bar by bar.

Markers are chord symbols where `melody.music.chords` finds that they are; else short ones are rehearsal marks, long
ones words. Of a tempo curve only the opening tempo and what lastingly differs from it is printed; the rest is for
playback.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from xml.etree.ElementTree import Element, SubElement

from melody.formats.notation.bars import Bar
from melody.formats.notation.staves import Part
from melody.music.chords import NO_CHORD, QUALITIES, Chord
from melody.music.progressions import markers_as_chords
from melody.music.score import GRID, Score, rescale

KINDS = (  # by quality
    "major", "minor", "dominant", "major-seventh", "minor-seventh", "diminished", "half-diminished",
    "diminished-seventh", "augmented", "suspended-fourth",
)  # fmt: skip
SLOWEST_QPM, FASTEST_QPM = 4, 10_000
LONGEST_REHEARSAL_MARK = 12
AUDIBLE = 0.08  # the share by which a tempo must differ to be printed


@dataclass(frozen=True)
class Mark:
    """One mark, `tick` grid ticks after its bar's beginning. One of what follows is set."""

    tick: int
    sharps: int | None = None
    mode: str = ""
    qpm: float | None = None
    is_printed: bool = True
    beat: tuple[str, int, float] = ("quarter", 0, 1.0)  # type, dots, quarters
    text: str = ""
    chord: Chord | None = None

    @property
    def is_for_all(self) -> bool:
        """Whether it stands in every part, not in the first alone."""
        return self.sharps is not None

    def write_key(self, attributes: Element, is_drum: bool) -> None:
        """A key signature; drums have none to be seen."""
        key = SubElement(attributes, "key", {"print-object": "no"} if is_drum else {})
        SubElement(key, "fifths").text = str(self.sharps)
        SubElement(key, "mode").text = self.mode

    def write(self, measure: Element, part: Part) -> None:
        """The mark where the pen stands."""
        if self.sharps is not None:
            self.write_key(SubElement(measure, "attributes"), part.is_drum)
        elif self.chord is not None or self.text == NO_CHORD:
            _write_chord(measure, self.chord, self.text)
        elif self.text:
            _write_text(_direction_type(measure, len(part.staves))[1], self.text)
        elif self.qpm is not None:
            _write_tempo(measure, self, len(part.staves))


def marks_of(score: Score, quantized: Score, bars: Sequence[Bar]) -> list[list[Mark]]:
    """For each bar, its marks in order of time. Keys come from the quantised score, the rest from the given one."""
    by_tick = [
        (key.time, Mark(0, sharps=key.key, mode=("major", "minor")[key.tonality])) for key in quantized.key_signatures
    ]
    by_tick += _markers(score)
    by_tick += _tempos(score, bars)
    starts = [bar.start for bar in bars]
    result: list[list[Mark]] = [[] for _ in bars]
    for tick, mark in sorted(by_tick, key=lambda item: item[0]):
        index = bisect_right(starts, tick) - 1
        if tick < bars[index].stop:
            result[index].append(replace(mark, tick=tick - bars[index].start))
    return result


# ---- markers ---------------------------------------------------------------------------------------------------------


def _markers(score: Score) -> list[tuple[int, Mark]]:
    chords = {span.start: span.chord for span in markers_as_chords(score)}
    result = []
    for marker in sorted(score.markers, key=lambda marker: marker.time):
        tick, text = rescale(max(0, marker.time), score.tpq, GRID), marker.text.strip()
        if marker.time in chords and _ROOT.match(text):
            result.append((tick, Mark(0, chord=chords[marker.time], text=text)))
        elif marker.time in chords and chords[marker.time] is None:
            result.append((tick, Mark(0, text=NO_CHORD)))
        elif text:
            result.append((tick, Mark(0, text=text)))
    return result


_ROOT = re.compile(r"([A-G])(##|bb|[#b♯♭]?)")
_SHIFTS = {"": 0, "#": 1, "♯": 1, "##": 2, "b": -1, "♭": -1, "bb": -2}


def _write_chord(measure: Element, chord: Chord | None, text: str) -> None:
    harmony = SubElement(measure, "harmony")
    if chord is None:
        _name(SubElement(harmony, "root"), "root", "C")
        SubElement(harmony, "kind", {"text": NO_CHORD}).text = "none"
        return
    _name(SubElement(harmony, "root"), "root", text)
    kind = SubElement(harmony, "kind", {"text": QUALITIES[chord.quality].suffix})
    kind.text = KINDS[chord.quality]
    if chord.bass != chord.root:
        _name(SubElement(harmony, "bass"), "bass", chord.name.rpartition("/")[2])


def _name(element: Element, tag: str, text: str) -> None:
    """A root or bass as it is spelled in a symbol."""
    match = _ROOT.match(text)
    step, sign = match.groups() if match else ("C", "")
    SubElement(element, f"{tag}-step").text = step
    if _SHIFTS[sign]:
        SubElement(element, f"{tag}-alter").text = str(_SHIFTS[sign])


def _write_text(kind: Element, text: str) -> None:
    plain = "".join(c for c in text if c.isprintable())
    is_mark = len(plain) <= LONGEST_REHEARSAL_MARK
    SubElement(kind, "rehearsal" if is_mark else "words").text = plain


# ---- tempos ----------------------------------------------------------------------------------------------------------


def _tempos(score: Score, bars: Sequence[Bar]) -> list[tuple[int, Mark]]:
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
        result.append((tick, Mark(0, qpm=qpm, is_printed=shown, beat=_beat(meter))))
    return result


def _beat(meter: tuple[int, int]) -> tuple[str, int, float]:
    """What a metronome counts: dotted quarters in 6/8, halves in 2/2."""
    numerator, denominator = meter
    if denominator == 8 and numerator % 3 == 0 and numerator > 3:
        return "quarter", 1, 1.5
    return ("half", 0, 2.0) if denominator == 2 else ("quarter", 0, 1.0)


def _write_tempo(measure: Element, mark: Mark, staves: int) -> None:
    sound = {"tempo": f"{mark.qpm:.3f}".rstrip("0").rstrip(".")}
    if not mark.is_printed:
        SubElement(measure, "sound", sound)
        return
    direction, kind = _direction_type(measure, staves)
    metronome = SubElement(kind, "metronome")
    name, dots, quarters = mark.beat
    SubElement(metronome, "beat-unit").text = name
    for _ in range(dots):
        SubElement(metronome, "beat-unit-dot")
    SubElement(metronome, "per-minute").text = f"{round((mark.qpm or 0) / quarters)}"
    SubElement(direction, "sound", sound)


def _direction_type(measure: Element, staves: int) -> tuple[Element, Element]:
    """A direction over the first staff, and where its content goes."""
    direction = SubElement(measure, "direction", {"placement": "above"})
    kind = SubElement(direction, "direction-type")
    if staves > 1:
        SubElement(direction, "staff").text = "1"
    return direction, kind

"""A small writer of ABC for tests: voices of chords and rests in bars, every pitch with its accidental."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

NAMES = ("C", "^C", "D", "_E", "E", "F", "^F", "G", "_A", "A", "_B", "B")


class Chord(NamedTuple):
    """Notes that sound together (none: a rest) and how long, in quarters."""

    pitches: tuple[int, ...]
    length: Fraction


Bars = Sequence[Sequence[Chord]]


def written(voices: Sequence[Bars], unit: Fraction = Fraction(1, 8), meter: str = "4/4", key: str = "C") -> str:
    """A tune of these voices; lengths are written by the unit, a fraction of a whole note."""
    lines = ["X:1", "T:made", f"M:{meter}", f"L:{unit.numerator}/{unit.denominator}", f"K:{key}"]
    for number, bars in enumerate(voices, 1):
        lines.append(f"V:{number}")
        lines += [" ".join(_chord(chord, unit) for chord in bar) + " |" for bar in bars]
    return "\n".join(lines) + "\n"


def _chord(chord: Chord, unit: Fraction) -> str:
    length = _length(chord.length / (4 * unit))
    if not chord.pitches:
        return f"z{length}"
    if len(chord.pitches) == 1:
        return f"{_note(chord.pitches[0])}{length}"
    return f"[{''.join(map(_note, chord.pitches))}]{length}"


def _length(units: Fraction) -> str:
    under = "" if units.denominator == 1 else f"/{units.denominator}"
    return f"{units.numerator}{under}"


def _note(pitch: int) -> str:
    name = NAMES[pitch % 12]
    sign, letter = ("=", name) if len(name) == 1 else (name[0], name[1])
    octave = pitch // 12 - 5
    return f"{sign}{letter}{chr(39) * octave if octave > 0 else ',' * -octave}"

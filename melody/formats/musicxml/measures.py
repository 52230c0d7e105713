"""Measures as encoded to bars as heard, and tied sounds to notes: shared by all sources of written music.

Measures begin together in all parts: where no part fills the meter exactly, the longest sets a measure's length. Then,
measure by measure::

    1/4 | 4/4 | 3/4 + 1/4 | 4/4 | 3/4 |      lengths as encoded, meter 4/4
    1/4 | 4/4 |    4/4    | 4/4 | 4/4 |      as read: the pickup keeps a meter of its own, a bar that a repeat or a
                                             fermata has split is whole again, the last bar is filled up

A short measure that nothing completes keeps a meter of its own.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from symusic import TimeSignature

from melody.music.score import TICKS_PER_QUARTER, Notes

DEFAULT_VELOCITY = 80  # where the file gives none
MINOR_MODES = ("minor", "aeolian", "dorian", "phrygian", "locrian")


class Measure(NamedTuple):
    """A measure as encoded: its length and its meter's, both in quarters, and the meter."""

    length: Fraction
    meter: tuple[int, int]

    @property
    def full(self) -> Fraction:
        """Return the quarters of a whole bar of the meter."""
        return Fraction(4 * self.meter[0], self.meter[1])


def joint_measures(by_part: Sequence[Sequence[Fraction]], meters: Sequence[tuple[int, int] | None]) -> list[Measure]:
    """Return the measures of all parts together, from the lengths in each part and the meter changes by measure."""
    result: list[Measure] = []
    meter = (4, 4)
    for index in range(max(map(len, by_part), default=0)):
        meter = (meters[index] if index < len(meters) else None) or meter
        lengths = [part[index] for part in by_part if index < len(part)]
        full = Measure(Fraction(4 * meter[0], meter[1]), meter)
        result.append(full if full.length in lengths else full._replace(length=max(lengths)))
    return result


def ticks(quarters: Fraction) -> int:
    """Return quarters as ticks of the score, rounded half up."""
    return (2 * TICKS_PER_QUARTER * quarters.numerator + quarters.denominator) // (2 * quarters.denominator)


# ---- notes ----------------------------------------------------------------------------------------------------------


class WrittenSound(NamedTuple):
    """A note, or a part of one that ties join: times in quarters from the start of the piece."""

    start: Fraction
    end: Fraction
    pitch: int
    velocity: int
    continues: bool  # tied to a note before
    goes_on: bool  # tied to a note after


def untie(sounds: list[WrittenSound]) -> list[WrittenSound]:
    """Return the notes that ties join: one that goes on, and one of its pitch that continues it where it ends.

    A tie that only one of two notes has joins nothing.
    """
    open_ties: dict[tuple[int, Fraction], list[int]] = {}  # (pitch, end) -> indices in the result
    result: list[WrittenSound] = []
    for sound in sorted(sounds, key=lambda sound: (float(sound.start), sound.pitch, float(sound.end))):
        waiting = open_ties.get((sound.pitch, sound.start)) if sound.continues else None
        if waiting:
            place = waiting.pop(0)
            result[place] = result[place]._replace(end=sound.end)
        else:
            place = len(result)
            result.append(sound)
        if sound.goes_on:
            open_ties.setdefault((sound.pitch, sound.end), []).append(place)
    return result


def as_notes(sounds: Sequence[WrittenSound]) -> Notes:
    """Return the sounds as notes in ticks, none shorter than one."""
    rows = [(ticks(s.start), max(1, ticks(s.end) - ticks(s.start)), s.pitch, s.velocity) for s in sounds]
    return Notes(*np.array(rows, np.int64).reshape(-1, 4).T)


# ---- meters ---------------------------------------------------------------------------------------------------------


def time_signatures(measures: Sequence[Measure]) -> list[TimeSignature]:
    """Return the meter map: a change wherever a bar's meter differs from that of the bar before."""
    result: list[TimeSignature] = []
    start = Fraction(0)
    meter: tuple[int, int] | None = None
    for length, own in whole_bars(measures):
        if own is None or own != meter:  # a bar that no meter fits is cut short by the next one's signature
            result.extend([TimeSignature(ticks(start), *own)] if own else [])
            meter = own
        start += length
    return result


def whole_bars(measures: Sequence[Measure]) -> list[tuple[Fraction, tuple[int, int] | None]]:
    """Return the bars of a piece as (length in quarters, meter), drawn above; None where no meter fits."""
    bars: list[tuple[Fraction, tuple[int, int] | None]] = []
    pending: Measure | None = None  # the part of a split bar read so far
    for index, measure in enumerate(measures):
        if pending and (pending.meter != measure.meter or pending.length + measure.length > measure.full):
            bars.append((pending.length, own_meter(pending.length)))
            pending = None
        measure = measure._replace(length=measure.length + (pending.length if pending else 0))
        pending = None
        while measure.length >= measure.full:
            bars.append((measure.full, measure.meter))
            measure = measure._replace(length=measure.length - measure.full)
        if index == 0 and measure.length and len(measures) > 1 and not bars:
            bars.append((measure.length, own_meter(measure.length)))  # a pickup stands alone
        elif measure.length:
            pending = measure
    return [*bars, (pending.full, pending.meter)] if pending else bars


def own_meter(length: Fraction) -> tuple[int, int] | None:
    """Return the meter of a bar of `length` quarters, in the largest unit from quarters down to 64ths."""
    for denominator in (4, 8, 16, 32, 64):
        numerator = length * denominator / 4
        if numerator.denominator == 1:
            return int(numerator), denominator
    return None

"""Clefs: those that players of an instrument read, and for each bar the one with few ledger lines and few changes."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from melody.formats.notation.voicing import SpelledNote
from melody.music.general_midi import BASSES, CONTRABASS, GUITARS, VIOLA, VOCALS


class Clef(NamedTuple):
    """A clef, its line from below, the octaves it shifts by, and the place of the staff's middle line."""

    sign: str
    line: int
    shift: int
    middle: int


TREBLE, BASS = Clef("G", 2, 0, 34), Clef("F", 4, 0, 22)
TREBLE_8VB, TREBLE_8VA, BASS_8VB = Clef("G", 2, -1, 27), Clef("G", 2, 1, 41), Clef("F", 4, -1, 15)
ALTO, TENOR = Clef("C", 3, 0, 28), Clef("C", 4, 0, 26)
PERCUSSION = Clef("percussion", 2, 0, 34)

# programs of General MIDI
TENOR_CLEF = (42, 57, 70)  # cello, trombone, bassoon: for high passages
TREBLE_ONLY = (9, 10, 40, 56, 64, 65, 68, 69, *range(71, 76))  # who never reads a bass clef
CLEF_CHANGE = 10.0  # ledger lines that a change must save
NOT_USUAL = 2.0  # ledger lines that beginning with another than the usual clef must save
SHIFTED = 2.0  # ledger lines that an octave sign must save, a note


def clef_choices(name: str, program: int, tones: Sequence[SpelledNote]) -> tuple[Clef, ...]:
    """Return the clefs that a part with one staff may change between, the usual one first."""
    if ("tenor" in name.lower() and program in VOCALS) or program in GUITARS:
        return (TREBLE_8VB,)
    if program in BASSES or program == CONTRABASS:
        return (BASS_8VB,)
    if program == VIOLA:
        return ALTO, TREBLE
    if program in TENOR_CLEF:
        return BASS, TENOR, TREBLE
    high_only = program in TREBLE_ONLY
    choices = (TREBLE, TREBLE_8VA) if high_only else (TREBLE, BASS, TREBLE_8VA, BASS_8VB)
    best = min(choices, key=lambda clef: _ledger_lines(clef, tones) + SHIFTED * len(tones) * bool(clef.shift))
    if best.shift or high_only or program in VOCALS:
        return (best,)
    return (TREBLE, BASS) if best == TREBLE else (BASS, TREBLE)


def clefs_of(choices: Sequence[Clef], tones: Sequence[SpelledNote], lines: Sequence[int]) -> tuple[Clef, ...]:
    """Return the clef of each bar: few ledger lines, few changes (Viterbi over bars)."""
    by_bar: list[list[SpelledNote]] = [[] for _ in lines[:-1]]
    for tone in tones:
        by_bar[bisect_right(lines, tone.onset) - 1].append(tone)
    costs = [NOT_USUAL * index for index in range(len(choices))]
    back: list[list[int]] = []
    for bar in by_bar:
        cheapest = min(range(len(choices)), key=costs.__getitem__)
        stay = [index if costs[index] <= costs[cheapest] + CLEF_CHANGE else cheapest for index in range(len(choices))]
        costs = [
            costs[origin] + (CLEF_CHANGE if origin != index else 0) + _ledger_lines(choices[index], bar)
            for index, origin in enumerate(stay)
        ]
        back.append(stay)
    best = min(range(len(choices)), key=costs.__getitem__)
    result: list[Clef] = []
    for stay in reversed(back):
        result.append(choices[best])
        best = stay[best]
    return tuple(result[::-1])


def _ledger_lines(clef: Clef, tones: Sequence[SpelledNote]) -> float:
    return sum(max(abs(tone.written.place - clef.middle) - 5, 0) / 2 for tone in tones)

"""Chord progressions, as they are typed, as they lie on bars, as a file's markers give them, and as they sound.

A progression is written as on a lead sheet. "Am F C G" is a bar each; in "Am F | C G" the symbols between bar lines
share the bar; "Am:3 F:1" has lengths in beats of the meter; "%" repeats the bar, or inside a bar the chord, before;
"N.C." asks for no chord.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, pairwise

import numpy as np

from melody.errors import UsageError
from melody.music.chords import NO_CHORD, Chord, Span, parse_chord
from melody.music.score import Ints, Notes, Score

HELD_VELOCITY = 70  # of chords that only accompany

Step = tuple[Chord | None, Fraction | None]  # a chord, and its beats where they are given


@dataclass(frozen=True)
class Progression:
    """Groups of chords, each of which begins on a bar line and holds until one. `parse_progression(p.text) == p`."""

    groups: tuple[tuple[Step, ...], ...]

    @property
    def text(self) -> str:
        """The progression as it would be typed."""
        groups = [" ".join(map(_step_text, group)) for group in self.groups]
        if all(len(group) == 1 and group[0][1] is None for group in self.groups):
            return " ".join(groups)
        return f"| {' | '.join(groups)} |"

    def __str__(self) -> str:
        return self.text


def _step_text(step: Step) -> str:
    chord, beats = step
    name = NO_CHORD if chord is None else chord.name
    return name if beats is None else f"{name}:{beats}"


_NONE = re.compile(r"N\.?C\.?", re.IGNORECASE)
_BEATS = re.compile(r"\d{1,3}(?:\.\d{1,3}|/[1-9]\d?)?")
_HINT = "write symbols as in 'Am F C G', 'Am F | C G' or 'Am:3 F:1'"


def parse_progression(text: str) -> Progression:
    """Read a progression; the module says how it is written. Raises `UsageError`, with the chord that it is about."""
    groups: list[tuple[Step, ...]] = []
    for words in _groups_of(text):
        if words == ["%"]:
            groups.append(_before(groups))
        else:
            groups.append(_steps(words, groups))
    if not groups:
        raise UsageError(f"chords {text!r}: no chord in it; {_HINT}")
    return Progression(tuple(groups))


def _groups_of(text: str) -> Iterator[list[str]]:
    """The words between bar lines; without any, each word is a bar, and words with lengths run on together."""
    measures = [re.split(r"\s+[-–—→]\s+|[\s,;]+", measure.strip(" ,;\t\r\n")) for measure in text.split("|")]
    if len(measures) > 1:
        yield from (words for words in measures if words != [""])
        return
    run: list[str] = []
    for word in filter(None, measures[0]):
        if ":" in word:
            run.append(word)
            continue
        if run:
            yield run
            run = []
        yield [word]
    if run:
        yield run


def _steps(words: Sequence[str], groups: Sequence[tuple[Step, ...]]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for word in words:
        symbol, colon, length = word.rpartition(":")
        name = symbol if colon else word
        chord = (steps or _before(groups))[-1][0] if name == "%" else _chord_or_none(name)
        steps.append((chord, _beats(word, length) if colon else None))
    return tuple(steps)


def _before(groups: Sequence[tuple[Step, ...]]) -> tuple[Step, ...]:
    if not groups:
        raise UsageError("chords: '%' repeats what stands before it, and nothing does; begin with a chord")
    return groups[-1]


def _chord_or_none(name: str) -> Chord | None:
    return None if _NONE.fullmatch(name) else parse_chord(name)


def _beats(word: str, length: str) -> Fraction:
    beats = Fraction(length) if _BEATS.fullmatch(length) else Fraction(0)
    if not beats:
        raise UsageError(f"chord {word!r}: {length!r} is no number of beats up to 999; write one, as in Am:3 or Am:3/2")
    return beats


def laid_out(progression: Progression, bar_lines: Ints, beat_ticks: int | Ints) -> list[Span]:
    """The progression on bars, from the first on and over again until all are filled.

    `bar_lines` are ticks (bars + 1,), `beat_ticks` those of a beat, one for all bars or one for each (bars,). A group
    longer than its bar runs over bar lines, and counts the beats of the bar in which it begins; its last chord holds
    on to the bar line that comes next. Chords without a length share what the others leave, up to that line.
    """
    lines = np.asarray(bar_lines, np.int64)
    beat = np.broadcast_to(beat_ticks, len(lines) - 1)
    chords: dict[int, Chord | None] = {}
    bar = 0
    for group in cycle(progression.groups):
        if bar >= len(beat):
            break
        steps, bar = _placed(group, lines, bar, int(beat[bar]))
        chords.update(steps)
    return [Span(*item) for item in chords.items() if item[0] < lines[-1]]


def _placed(group: Sequence[Step], lines: Ints, bar: int, beat: int) -> tuple[list[Span], int]:
    """A group from bar `bar` on, and the bar after it."""
    asked = sum((beats * beat for _, beats in group if beats is not None), Fraction(0))
    sharing = sum(beats is None for _, beats in group)
    stop = int(lines[bar]) + asked
    after = max(bar + 1, int(np.searchsorted(lines, float(stop), side="right" if sharing else "left")))
    rest = max(Fraction(0), int(lines[min(after, len(lines) - 1)]) - stop)
    spans, tick = [], Fraction(int(lines[bar]))
    for chord, beats in group:
        spans.append(Span(round(tick), chord))
        tick += rest / sharing if beats is None else beats * beat
    return spans, after


def held(spans: Sequence[Span], bar_lines: Ints) -> Notes:
    """The notes of chords that are held in close position, each struck anew at every bar line, up to the last one."""
    starts = np.array([span.start for span in spans], np.int64)
    ticks = np.union1d(starts, bar_lines)
    rows = []
    for start, stop in pairwise(ticks[ticks <= bar_lines[-1]].tolist()):
        place = int(np.searchsorted(starts, start, side="right")) - 1
        chord = spans[place].chord if place >= 0 else None
        rows += [(start, stop - start, pitch, HELD_VELOCITY) for pitch in (chord.close_position if chord else ())]
    return Notes(*np.array(rows, np.int64).reshape(-1, 4).T)


# ---- markers --------------------------------------------------------------------------------------------------------

_MARK = re.compile(r"[A-G][1-6]?")  # as rehearsal marks are named


def markers_as_chords(score: Score) -> list[Span]:
    """The chords in a score's markers, at its ticks; none where the markers speak of something else.

    They are chords where at least half of them are symbols as a whole, and one of these is more than a letter or a
    letter and a digit up to 6: sections are called A, B and A2, and a progression hardly holds major triads on white
    keys alone. Of markers at one tick the last holds.
    """
    markers = sorted(((marker.time, marker.text.strip()) for marker in score.markers), key=lambda marker: marker[0])
    chords = {}
    telling = symbols = 0
    for tick, text in markers:
        try:
            chords[tick] = _chord_or_none(text)
        except UsageError:
            continue
        symbols += 1
        telling += not _MARK.fullmatch(text)
    return [Span(*item) for item in chords.items()] if telling and 2 * symbols >= len(markers) else []

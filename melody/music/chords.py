"""Chords: as symbols that a musician writes, as values of a channel, and as they are heard in music.

A chord is a root, one of ten qualities, and the bass over which it stands, all pitch classes (C = 0). A symbol that
asks for more is reduced to the triad or seventh chord in it or nearest to it:

- C6, C69, Cadd9, C2 -> C; Cm6 -> Cm; C5 (no third) -> C
- C9, C11, C13, C7b9, C7#11, Calt -> C7; Cmaj9 -> Cmaj7; Cm9, Cm11 -> Cm7; C7b5 -> C7, the one whose fifth is wrong
- C7sus4, C9sus4, C4 -> Csus4; Csus2 -> Gsus4/C, which has the same notes
- CmMaj7 -> Cm; C+7, C7#5, Cmaj7#5 -> Caug; Cm7b5 and Cø are one, and so are Cmb5 and Cdim

A progression is written as on a lead sheet. "Am F C G" is a bar each; in "Am F | C G" the symbols between bar lines
share the bar; "Am:3 F:1" has lengths in beats of the meter; "%" repeats the bar, or inside a bar the chord, before;
"N.C." asks for no chord.

`heard` names the chord of each segment by templates (Pardo & Birmingham, Algorithms for Chordal Analysis, Computer
Music Journal 26/2, 2002): those compare the notes of a segment with every chord, counting notes that fit against notes
that do not and chord tones that are missing, and let the root decide ties. Here notes count by how long they sound, a
missing third or root counts more than a missing fifth, and a seventh must sound long enough to be no passing note. All
is measured from the bass upwards, so that music and its transposition are heard alike. On ten chorales of Bach, beat by
beat, it hears the root that an expert's Roman numerals in music21's corpus have in 91 % of 597 beats, the same chord in
82 % and the same bass in 94 %; a third of the other chords have a seventh that only passes for the expert. The weights
were chosen on eight other chorales.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.errors import UsageError
from melody.music.key import FLAT_NAMES, LETTERS, SHARP_NAMES, Key
from melody.music.score import Ints, Notes, Score, bars, has_strong_middle, meters, notes_of

OCTAVE = 12


class Quality(NamedTuple):
    """A kind of chord: its name, how symbols write it, and its intervals above the root."""

    name: str
    suffix: str
    intervals: tuple[int, ...]


QUALITIES = (  # their order is part of the channel's values: never change it
    Quality("major", "", (0, 4, 7)),
    Quality("minor", "m", (0, 3, 7)),
    Quality("dominant seventh", "7", (0, 4, 7, 10)),
    Quality("major seventh", "maj7", (0, 4, 7, 11)),
    Quality("minor seventh", "m7", (0, 3, 7, 10)),
    Quality("diminished", "dim", (0, 3, 6)),
    Quality("half-diminished", "m7b5", (0, 3, 6, 10)),
    Quality("diminished seventh", "dim7", (0, 3, 6, 9)),
    Quality("augmented", "aug", (0, 4, 8)),
    Quality("suspended fourth", "sus4", (0, 5, 7)),
)
MAJOR, MINOR, SEVENTH, MAJOR_SEVENTH, MINOR_SEVENTH, DIM, HALF_DIM, DIM_SEVENTH, AUG, SUS = range(len(QUALITIES))
VALUES = 1 + OCTAVE * len(QUALITIES)  # 0 says none
NO_CHORD = "N.C."


@dataclass(frozen=True)
class Chord:
    """A root (0..11, C = 0), a quality (its place in `QUALITIES`), and the pitch class in the bass."""

    root: int
    quality: int
    bass: int

    @property
    def classes(self) -> frozenset[int]:
        """Its pitch classes, that of the bass among them."""
        return frozenset((self.root + step) % OCTAVE for step in QUALITIES[self.quality].intervals) | {self.bass}

    @property
    def value(self) -> int:
        """As a channel says it, 1 .. `VALUES` - 1; the bass has a channel of its own."""
        return 1 + self.root + OCTAVE * self.quality

    @property
    def name(self) -> str:
        """As in "Am", "Bbmaj7" or "F#m7b5/C"; `parse_chord` reads it back."""
        _, suffix, intervals = QUALITIES[self.quality]
        root = Key(self.root, "minor" if intervals[1] == 3 else "major").name.split()[0]
        return root + suffix + (f"/{_bass_name(root[0], intervals, self)}" if self.bass != self.root else "")

    def transposed(self, semitones: int) -> "Chord":
        """The chord `semitones` higher."""
        return Chord((self.root + semitones) % OCTAVE, self.quality, (self.bass + semitones) % OCTAVE)


_DEGREES = (0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6)  # letters above the root's, by interval


def _bass_name(root_letter: str, intervals: tuple[int, ...], chord: Chord) -> str:
    """A black key is spelled as the chord's degree has it: G/Bb, but D/F#."""
    interval = (chord.bass - chord.root) % OCTAVE
    degree = 4 if interval in intervals[2:3] else _DEGREES[interval]  # a fifth, whatever its size
    letters = list(LETTERS)
    sharp = SHARP_NAMES[chord.bass]
    letter = letters[(letters.index(root_letter) + degree) % len(letters)]
    return sharp if sharp[0] == letter else FLAT_NAMES[chord.bass]


class Span(NamedTuple):
    """The chord in force from tick `start` on; None where none is asked for."""

    start: int
    chord: Chord | None


# ---- symbols --------------------------------------------------------------------------------------------------------

_ROOT = re.compile(r"([A-G])(##|bb|[#b]?)")
_SHIFTS = {"": 0, "#": 1, "##": 2, "b": -1, "bb": -2}
_SIGNS = str.maketrans({"♯": "#", "♭": "b", "△": "Δ", "º": "°", "−": "-", "–": "-", "Ø": "ø", "𝄪": "##", "𝄫": "bb"})
_WORDS = re.compile(r"(?i)maj|min|dim|aug|sus|dom|add|omit|alt")
_SUFFIX = re.compile(
    r"(?P<base>major|maj|ma|M|minor|min|mi|m|-|dim|[°o]|ø|aug|\+|dom)?"
    r"(?P<large>(?:maj|ma|M)(?=7|9|11|13))?"
    r"(?P<number>6/?9|7M|13|11|[245679])?"
    r"(?P<more>(?:sus[24]?|add[#b]?(?:2|4|6|9|11|13)|[#b+-](?:5|9|11|13)|(?:no|omit)[35]|alt)*)"
)
_MINOR = {"minor", "min", "mi", "m", "-"}
_SEVENTHS = {"7", "9", "11", "13"}


def parse_chord(text: str) -> Chord:
    """The chord that a symbol names, reduced to one of `QUALITIES` as the module says. Raises `UsageError`."""
    symbol = text.strip().translate(_SIGNS)
    upper, slash, low = symbol.rpartition("/")
    bass = _ROOT.fullmatch(low) if slash else None
    root = _ROOT.match(upper if bass else symbol)
    if root is None:
        raise UsageError(f"chord {text!r}: its root is no letter from A to G; write capitals, as in Am, Bb7 or C/E")
    suffix = (upper if bass else symbol)[root.end() :]
    pitch_class = _class_of(root)
    quality = _quality_of(suffix)
    if quality is None:
        raise UsageError(
            f"chord {text!r}: {suffix!r} is no quality melody knows; "
            "write one of m, 7, maj7, m7, dim, m7b5, dim7, aug, sus4 after the root, and a bass as in C/E"
        )
    low_class = _class_of(bass) if bass else pitch_class
    if quality == _SUS2:
        return Chord((pitch_class + 7) % OCTAVE, SUS, low_class)
    return Chord(pitch_class, quality, low_class)


_SUS2 = -1  # becomes a suspended fourth on the fifth


def _class_of(match: re.Match[str]) -> int:
    return (LETTERS[match[1]] + _SHIFTS[match[2]]) % OCTAVE


def _quality_of(suffix: str) -> int | None:
    """The quality that comes nearest to what follows a root; None where it says nothing."""
    plain = _WORDS.sub(lambda word: word[0].lower(), re.sub(r"[(), ]", "", suffix))
    match = _SUFFIX.fullmatch(re.sub("Δ7?", "maj7", plain))
    if match is None:
        return None
    base, number, more = match["base"] or "", match["number"] or "", match["more"]
    if "sus2" in more and "sus4" not in more:
        return _SUS2
    if "sus" in more or number == "4":
        return SUS
    seventh = number in _SEVENTHS and not match["large"]
    if base in _MINOR:
        return _of_minor(seventh, flat_fifth=bool(re.search("[b-]5", more)))
    if base in ("dim", "°", "o"):
        return DIM_SEVENTH if seventh else DIM
    if base == "ø":
        return HALF_DIM
    if base in ("aug", "+") or re.search(r"[#+]5", more):
        return AUG
    return _of_major(number, large=match["large"] is not None or base not in ("", "dom"), altered="alt" in more)


def _of_minor(seventh: bool, flat_fifth: bool) -> int:
    if flat_fifth:
        return HALF_DIM if seventh else DIM
    return MINOR_SEVENTH if seventh else MINOR


def _of_major(number: str, large: bool, altered: bool) -> int:
    if number == "7M" or (large and number in _SEVENTHS):
        return MAJOR_SEVENTH
    return SEVENTH if altered or number in _SEVENTHS else MAJOR


# ---- progressions ---------------------------------------------------------------------------------------------------

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


# ---- music ----------------------------------------------------------------------------------------------------------

_TRIAD, _SEVENTH_CHORD = (0.5, 0.5, 0.05), (0.5, 0.5, 0.05, 0.3)
_ODD_TRIAD, _ODD_SEVENTH_CHORD = (0.5, 0.5, 0.4), (0.5, 0.5, 0.4, 0.3)  # a fifth that makes the chord what it is
# by quality and tone, what it costs that the tone does not sound
MISSING = (*[_TRIAD] * 2, *[_SEVENTH_CHORD] * 3, _ODD_TRIAD, *[_ODD_SEVENTH_CHORD] * 2, *[_ODD_TRIAD] * 2)
COMPLEX = (0.0, 0.0, 0.04, 0.15, 0.15, 0.02, 0.15, 0.06, 0.04, 0.06)  # by quality: what a template must gain to win
PRESENT = 0.12  # share of a segment's sound from which on a chord tone is there
ROOTED = 0.04  # for a root in the bass
FITS = 0.56  # the score below which no chord is heard: a bare fifth or a single note has none

_TEMPLATES = np.zeros((len(QUALITIES), OCTAVE, OCTAVE))  # (quality, root over the bass, pitch class over the bass)
_COSTS = np.zeros_like(_TEMPLATES)
for _quality in range(len(QUALITIES)):
    for _step, _cost in zip(QUALITIES[_quality].intervals, MISSING[_quality], strict=True):
        _roots = np.arange(OCTAVE)
        _TEMPLATES[_quality, _roots, (_roots + _step) % OCTAVE] = 1
        _COSTS[_quality, _roots, (_roots + _step) % OCTAVE] = _cost
_BASE = (ROOTED * (np.arange(OCTAVE) == 0) - np.array(COMPLEX)[:, None] - _COSTS.sum(axis=2)).ravel()
_WEIGHTS = np.concatenate([_TEMPLATES, _COSTS], axis=2).reshape(-1, 2 * OCTAVE).T.copy()  # (24, templates)


def heard(notes: Notes, edges: Ints) -> NDArray[np.int16]:
    """The chord that each segment between `edges` (ticks, S + 1, ascending) suggests, and its bass; shape (S, 2).

    `notes` are the pitched ones, of all tracks together, in any order. Columns: `Chord.value`, and 1 + the pitch class
    of the bass; 0 and 0 where nothing sounds or no chord fits. A chord's score is the share of
    the sound that its tones have, less `MISSING` for each tone that does not sound (in part where it hardly does) and
    `COMPLEX`, plus `ROOTED`.
    """
    edges = np.asarray(edges, np.int64)
    bass = _lowest(notes, edges)
    over_bass = (bass[:, None] + np.arange(OCTAVE)) % OCTAVE  # (S, 12): each pitch class as an interval over the bass
    weights = np.take_along_axis(_class_ticks(notes, edges), over_bass, axis=1).astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    share = weights / np.maximum(total, 1)
    score = np.hstack([share, np.minimum(share / PRESENT, 1)]) @ _WEIGHTS + _BASE  # (S, templates)
    best = score.argmax(axis=1)
    fits = (score[np.arange(len(best)), best] >= FITS) & (total[:, 0] > 0)
    value = 1 + best // OCTAVE * OCTAVE + (best + bass) % OCTAVE
    chords: NDArray[np.int16] = (np.stack([value, 1 + bass], axis=1) * fits[:, None]).astype(np.int16)
    return chords


def _class_ticks(notes: Notes, edges: Ints) -> Ints:
    """For how many ticks each pitch class sounds in each segment; shape (S, 12).

    Up to an edge t the notes of a class have sounded for sum(t - onset) over those begun, less sum(t - end) over those
    ended. Both are counts and sums of ticks, so no note meets a segment.
    """
    times = np.concatenate([notes.onset, notes.onset + notes.duration])
    sign = np.repeat([1, -1], len(notes.onset))
    cell = np.searchsorted(edges, times) * OCTAVE + np.tile(notes.pitch % OCTAVE, 2)
    size = (len(edges) + 1) * OCTAVE
    begun, ticks = (
        np.bincount(cell, weights=weight, minlength=size).reshape(-1, OCTAVE)[:-1].cumsum(axis=0)
        for weight in (sign, sign * times)
    )  # (S + 1, 12), at each edge; whole numbers, exact in floats
    sounding: Ints = np.diff(edges[:, None] * begun - ticks, axis=0).astype(np.int64)
    return sounding


def _lowest(notes: Notes, edges: Ints) -> Ints:
    """The pitch class of the bass in each segment, 0 in silence; shape (S,).

    In a segment a low note rings on under the higher ones that follow it, as in a broken chord; the bass is the pitch
    class that does so for the longest time. Of equal ones it is the first, or if need be the next above that.
    """
    ends = notes.onset + notes.duration
    cuts = np.unique(np.concatenate([edges, notes.onset, ends]).clip(edges[0], edges[-1]))
    first, last = np.searchsorted(cuts, notes.onset), np.searchsorted(cuts, np.minimum(ends, cuts[-1]))
    counts = np.maximum(last - first, 0)  # slices between cuts in which each note sounds
    slices = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    low = np.full(len(cuts) - 1, 128)
    np.minimum.at(low, slices, np.repeat(notes.pitch, counts))
    sounds = np.flatnonzero(low < 128)
    segment = np.searchsorted(edges, cuts[sounds], side="right") - 1
    ringing = np.minimum.accumulate(low[sounds] - 128 * segment) + 128 * segment  # each segment begins anew
    leading = np.zeros(len(edges) - 1, np.int64)
    leading[segment[::-1]] = ringing[::-1] % OCTAVE  # the first of a segment is written last
    cell = segment * OCTAVE + (ringing - leading[segment]) % OCTAVE
    ticks = np.bincount(cell, weights=np.diff(cuts)[sounds], minlength=len(leading) * OCTAVE).reshape(-1, OCTAVE)
    lowest: Ints = (leading + ticks.argmax(axis=1)) % OCTAVE
    return lowest


def chord_tones_on_strong_beats(score: Score, spans: Sequence[Span], from_tick: int = 0) -> tuple[int, int]:
    """How many of the pitched notes that sound on strong beats belong to the chord in force, and how many there are.

    Strong are the first beat of a bar, the middle of a bar of 4, 8 or 12 units, and the tick at which a chord begins;
    those before `from_tick`, and those at which no chord is asked for, do not count.
    """
    spans = sorted(spans, key=lambda span: span.start)
    starts = np.array([span.start for span in spans], np.int64)
    ticks = np.unique(np.concatenate([_strong_ticks(score), starts]))
    ticks = ticks[(ticks >= from_tick) & (ticks >= starts.min(initial=np.iinfo(np.int64).max))]
    place = np.searchsorted(starts, ticks, side="right") - 1
    member = np.zeros((len(spans), OCTAVE), bool)
    for row, span in zip(member, spans, strict=True):
        row[sorted(span.chord.classes if span.chord else ())] = True
    asked = np.array([span.chord is not None for span in spans], bool)
    fitting = total = 0
    for notes in (notes_of(track) for track in score.tracks if not track.is_drum):
        sounding = (notes.onset <= ticks[:, None]) & (ticks[:, None] < notes.onset + notes.duration)  # (T, N)
        at, note = np.nonzero(sounding & asked[place][:, None])
        total += len(at)
        fitting += int(member[place[at], notes.pitch[note] % OCTAVE].sum())
    return fitting, total


def _strong_ticks(score: Score) -> Ints:
    lines = bars(score)
    changes = meters(score)
    place = np.searchsorted([change[0] for change in changes], lines[:-1], side="right") - 1
    units = np.array([change[1] for change in changes])[place]
    length = np.diff(lines)
    halved = has_strong_middle(units) & (length % 2 == 0)
    return np.union1d(lines[:-1], (lines[:-1] + length // 2)[halved])

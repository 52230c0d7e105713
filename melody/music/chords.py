"""Chords as symbols that a musician writes, and as values of a channel.

A chord is a root, one of ten qualities, and the bass over which it stands, all pitch classes (C = 0). A symbol that
asks for more is reduced to the triad or seventh chord in it or nearest to it:

- C6, C69, Cadd9, C2 -> C; Cm6 -> Cm; C5 (no third) -> C
- C9, C11, C13, C7b9, C7#11, Calt -> C7; Cmaj9 -> Cmaj7; Cm9, Cm11 -> Cm7; C7b5 -> C7, the one whose fifth is wrong
- C7sus4, C9sus4, C4 -> Csus4; Csus2 -> Gsus4/C, which has the same notes
- CmMaj7 -> Cm; C+7, C7#5, Cmaj7#5 -> Caug; Cm7b5 and Cø are one, and so are Cmb5 and Cdim
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from melody.errors import UsageError
from melody.music.key import FLAT_NAMES, LETTERS, SHARP_NAMES, Key

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
LOWEST_BASS = 48  # C3: from there up lies the bass of a chord in close position


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
    def close_position(self) -> list[int]:
        """Its pitches, one of each class, within an octave over its bass."""
        return sorted(LOWEST_BASS + self.bass + (one - self.bass) % OCTAVE for one in self.classes)

    @property
    def value(self) -> int:
        """Value of a channel, 1 .. `VALUES` - 1; the bass has a channel of its own."""
        return 1 + self.root + OCTAVE * self.quality

    @property
    def name(self) -> str:
        """Name such as "Am", "Bbmaj7" or "F#m7b5/C"; `parse_chord` reads it back."""
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

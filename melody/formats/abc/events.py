"""Events of a voice in the order in which they are written. Lengths are in quarters; nothing is played out yet."""

from dataclasses import dataclass, field
from fractions import Fraction

from melody.formats.abc.fields import AbcKey, Meter
from melody.formats.abc.music import Bar


@dataclass(slots=True)
class Tone:
    """A note of a chord, or a note alone."""

    pitch: int
    length: Fraction
    velocity: int
    place: tuple[str, int]  # on the staff: letter, and pitch without accidental
    altered: int  # semitones, by an accidental or the key
    is_tied: bool = False  # to the next of its pitch


@dataclass(slots=True)
class AbcSound:
    """A note, a chord or (without tones) a rest, and the time until the next."""

    length: Fraction
    tones: list[Tone]
    lyrics: list[str] = field(default_factory=list)  # by verse


@dataclass(frozen=True, slots=True)
class Rests:
    """Rests of whole bars."""

    bars: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """Time goes back to the beginning of the bar, or of so many bars (7.4)."""

    bars: int


@dataclass(frozen=True, slots=True)
class MeterChange:
    """A meter begins."""

    meter: Meter


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key begins; the voice sounds so many semitones above what is written."""

    key: AbcKey
    semitones: int


@dataclass(frozen=True, slots=True)
class TempoChange:
    """A tempo begins, in quarters a minute."""

    qpm: float


@dataclass(frozen=True, slots=True)
class AbcSymbol:
    """A chord symbol."""

    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """An annotation."""

    text: str


@dataclass(frozen=True, slots=True)
class AbcPart:
    """A part begins (3.1.9)."""

    letter: str


Event = AbcSound | Bar | MeterChange | KeyChange | TempoChange | AbcSymbol | Words | AbcPart | Overlay | Rests

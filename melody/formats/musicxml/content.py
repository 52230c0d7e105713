"""Content of a MusicXML document as it is read: parts, their measures, and what stands in them. Times are quarters."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple
from xml.etree.ElementTree import Element

from melody.errors import LimitExceeded
from melody.formats.midi.texts import decode
from melody.formats.midi.track import Limits, Repairs
from melody.formats.musicxml.elements import DocumentBudget, integer
from melody.formats.musicxml.measures import DEFAULT_VELOCITY, WrittenSound
from melody.formats.musicxml.playing_order import BarSigns
from melody.music.general_midi import DRUM_CHANNEL, INSTRUMENTS


class Transposition(NamedTuple):
    """Distance from the written to the sounding pitch."""

    semitones: int = 0
    steps: int | None = None  # of the scale; None where the file does not say


class WrittenKey(NamedTuple):
    """A key signature as it is read by the player, and what it is transposed by."""

    sharps: int
    mode: str
    transposition: Transposition


class Syllable(NamedTuple):
    """A syllable of a verse; a text that ends with a hyphen goes on in the next one."""

    time: Fraction
    verse: str
    text: str


@dataclass
class PartMeasure:
    """A measure of one part; times in quarters from its beginning."""

    length: Fraction = Fraction(0)
    sounds: list[WrittenSound] = field(default_factory=list)
    staves: list[str | None] = field(default_factory=list)  # of the sounds
    meter: tuple[int, int] | None = None
    is_free: bool = False  # without a meter
    keys: list[tuple[Fraction, WrittenKey]] = field(default_factory=list)
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)  # qpm
    markers: list[tuple[Fraction, str]] = field(default_factory=list)  # rehearsal marks
    chords: list[tuple[Fraction, str]] = field(default_factory=list)
    words: list[tuple[Fraction, str]] = field(default_factory=list)
    syllables: list[Syllable] = field(default_factory=list)
    loudness: list[tuple[Fraction, int]] = field(default_factory=list)  # velocities that hold from a time on
    signs: BarSigns = field(default_factory=BarSigns)
    repeats: list[tuple[str | None, int]] = field(default_factory=list)  # (staff, measures repeated; 0: no longer)

    @property
    def sign_count(self) -> int:
        """Count all that stands in it beside notes."""
        listed = (self.keys, self.tempos, self.markers, self.chords, self.words, self.syllables, self.loudness)
        return sum(len(signs) for signs in listed)


@dataclass
class PartContent:
    """A part as far as it has been read."""

    name: str
    program: int = 0
    has_program: bool = False
    is_drum: bool = False
    drums: dict[str, int] = field(default_factory=dict)  # instrument -> pitch of an unpitched note
    measures: list[PartMeasure] = field(default_factory=list)
    divisions: Fraction = Fraction(1)  # of a quarter
    durations: dict[str, Fraction] = field(default_factory=dict)  # by their text, as long as the divisions hold
    transpositions: dict[str | None, Transposition] = field(default_factory=dict)  # by staff (None: all)
    key: tuple[int, str] | None = None  # as written at last: sharps and mode
    velocity: int = DEFAULT_VELOCITY

    def transposition(self, staff: str | None = None) -> Transposition:
        """Return what a staff is transposed by."""
        return self.transpositions.get(staff) or self.transpositions.get(None) or Transposition()


@dataclass
class Content:
    """All that has been read of a document."""

    name: str
    repairs: Repairs
    budget: DocumentBudget
    title: str = ""
    parts: dict[str, PartContent] = field(default_factory=dict)
    credits: list[tuple[str, str]] = field(default_factory=list)  # who made it, or "rights", and the words
    left_out: Counter[str] = field(default_factory=Counter)
    bars: tuple[int, int] = (0, 0)  # written, played
    place: str = ""

    def mend(self, sentence: str) -> None:
        """Note a repair in the present measure."""
        self.repairs.add(sentence, self.place)

    def text(self, element: Element | None, what: str = "a name") -> str:
        """Return the text of an element, without control characters."""
        words = " ".join((element.text or "").split()) if element is not None else ""
        self.budget.add_letters(len(words))
        return decode(words.encode("utf-8", "replace"), Limits().text_characters, self.repairs, what, breaks=False)

    def part(self, identity: str) -> PartContent:
        """Return the part of that identity, a new one where there was none."""
        if identity not in self.parts and len(self.parts) >= Limits().tracks:
            raise LimitExceeded(f"{self.name}: over {Limits().tracks:,} parts, all that melody reads; leave some out")
        return self.parts.setdefault(identity, PartContent(f"Part {len(self.parts) + 1}"))


def read_header(element: Element, content: Content) -> None:
    """Read what stands before the parts: titles, who made the piece, and the list of parts."""
    for title in element.iter("work-title" if element.tag == "work" else "movement-title"):
        content.title = content.title or content.text(title)
    if element.tag == "identification":
        for entry in (*element.findall("creator"), *element.findall("rights")):
            who = entry.get("type", "creator") if entry.tag == "creator" else "rights"
            if words := content.text(entry, "a credit"):
                content.credits.append((" ".join(re.findall(r"[a-z]+", who.lower()))[:40], words))
    if element.tag == "part-list":
        for entry in element.findall("score-part"):
            _read_part(entry, content)


def _read_part(entry: Element, content: Content) -> None:
    part = content.part(entry.get("id", ""))
    part.name = content.text(entry.find("part-name"))
    instruments = [content.text(name) for name in entry.iterfind("score-instrument/instrument-name")]
    numbers = {name.casefold(): program for program, name in enumerate(INSTRUMENTS)}
    named = [numbers[name.casefold()] for name in (*instruments[:1], part.name) if name.casefold() in numbers]
    part.program = named[0] if named else 0
    for midi in entry.iter("midi-instrument"):
        _read_instrument(midi, part)


def _read_instrument(midi: Element, part: PartContent) -> None:
    """Read a part's sound; MusicXML counts programs, channels and drums from 1; a part's first program counts."""
    channel, program, drum = (integer(midi.findtext(f"midi-{what}")) for what in ("channel", "program", "unpitched"))
    part.is_drum = part.is_drum or channel == DRUM_CHANNEL + 1
    if program is not None and 1 <= program <= 128 and not part.has_program:
        part.program, part.has_program = program - 1, True
    if drum is not None and 1 <= drum <= 128:
        part.drums[midi.get("id", "")] = drum - 1


def repeat_measures(part: PartContent, budget: DocumentBudget) -> None:
    """Fill the measures that stand for those before them, as `measure-repeat` asks. Raises `LimitExceeded`."""
    asked: dict[str | None, int] = {}  # staff -> measures repeated
    for index, measure in enumerate(part.measures):
        for staff, length in measure.repeats:
            asked[staff] = length
        for staff, length in asked.items():
            if length and index >= length and not _holds(measure, staff):
                _copy(part.measures[index - length], measure, staff, budget)


def _holds(measure: PartMeasure, staff: str | None) -> bool:
    return any(staff in (None, own) for own in measure.staves)


def _copy(source: PartMeasure, measure: PartMeasure, staff: str | None, budget: DocumentBudget) -> None:
    kept = [i for i, own in enumerate(source.staves) if staff in (None, own)]
    budget.add_notes(len(kept))
    measure.sounds += [source.sounds[i] for i in kept]
    measure.staves += [source.staves[i] for i in kept]
    measure.length = max(measure.length, source.length)


def by_rows(parts: Sequence[PartContent]) -> list[list[PartMeasure]]:
    """Return the measures of all parts that sound together, measure by measure."""
    rows: list[list[PartMeasure]] = [[] for _ in range(max((len(part.measures) for part in parts), default=0))]
    for part in parts:
        for row, measure in zip(rows, part.measures, strict=False):
            row.append(measure)
    return rows

"""A voice and where its writing stands: pitches by accidentals and key, lengths by tuplets and broken rhythm.

An accidental holds to the bar line, for its letter in all octaves unless `propagate-accidentals` says otherwise (11.3),
and over a tie. Source: ABC 2.1, section 4.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from melody.formats.abc.events import AbcSound, Event, KeyChange, MeterChange, Overlay, Tone
from melody.formats.abc.fields import NO_KEY, AbcKey, Meter, Properties
from melody.formats.abc.music import INNER, Bar, alteration, length, staff_pitch

DEFAULT_VELOCITY = 80


class TooLong(Exception):
    """A length that no note has."""


@dataclass
class Voice:
    """A voice of a tune."""

    label: str
    name: str = ""
    program: int | None = None
    channel: int | None = None  # of MIDI, from 1
    clef_octave: int = 0
    octave: int = 0
    transpose: int = 0
    midi_transpose: int = 0
    unit: Fraction = Fraction(1, 2)  # of a quarter
    meter: Meter = (4, 4)
    key: AbcKey = NO_KEY
    velocity: int = DEFAULT_VELOCITY
    spread: str = "pitch"  # how far an accidental holds: not, octave, pitch
    events: list[Event] = field(default_factory=list)
    notes: int = 0
    line: list[AbcSound | None] = field(default_factory=list)  # of the last line, for its words; None: a bar line
    line_number: int = 0
    verse: int = 0  # of the words under the last line
    _altered: dict[str, int] = field(default_factory=dict)  # by letter, of the key
    _accidentals: dict[tuple[str, int], int] = field(default_factory=dict)  # of the bar
    _tied: dict[tuple[str, int], int] = field(default_factory=dict)  # alterations that a tie carries on
    _factor: Fraction | None = None  # of the tuplet
    _left: int = 0  # notes of the tuplet still to come
    _broken: tuple[Fraction, Fraction] | None = None  # what broken rhythm makes of the last note and the next
    problems: list[str] = field(default_factory=list)  # met since they were last said; one list for all voices
    part: int = 0  # how many marks of parts have been met
    _last: AbcSound | None = None  # which a tie or broken rhythm may follow

    def copy(self, label: str) -> "Voice":
        """A voice that begins as this one does."""
        return replace(self, label=label, events=[], line=[], _altered={}, _accidentals={}, _tied={})

    def begin_line(self, number: int) -> None:
        """Take down the notes of a line, for its words, unless they go on in the line before."""
        if number != self.line_number:
            self.line, self.line_number, self.verse = [], number, 0

    # ---- what holds from now on --------------------------------------------------------------------------------------

    @property
    def raised(self) -> int:
        """Semitones by which the voice sounds above what is written, whole octaves of clefs apart."""
        return self.transpose + self.midi_transpose

    def set_key(self, key: AbcKey) -> None:
        """Change the key."""
        self.key = key
        self._altered = dict(key.altered)
        self._accidentals.clear()
        self._say_key()

    def set_meter(self, meter: Meter) -> None:
        """Change the meter."""
        self.meter = meter
        self.events.append(MeterChange(meter))

    def set_properties(self, props: Properties) -> None:
        """Take name, clef, octave and transposition of a field."""
        before = self.raised
        self.name = self.name if props.name is None else props.name
        self.clef_octave = self.clef_octave if props.clef_octave is None else props.clef_octave
        self.octave = self.octave if props.octave is None else props.octave
        self.transpose = self.transpose if props.transpose is None else props.transpose
        if self.raised != before:
            self._say_key()

    def set_midi_transpose(self, semitones: int) -> None:
        """Sound so many semitones higher."""
        self.midi_transpose = semitones
        self._say_key()

    def _say_key(self) -> None:
        """State the key as it sounds now."""
        if self.events and isinstance(self.events[-1], KeyChange):
            self.events.pop()
        self.events.append(KeyChange(self.key, self.raised))

    @property
    def is_compound(self) -> bool:
        """Return if the meter has dotted beats."""
        return self.meter in ((6, 8), (9, 8), (12, 8))

    # ---- notes -------------------------------------------------------------------------------------------------------

    def add_note(self, match: re.Match[str]) -> None:
        """Add a note by its token."""
        tied, self._tied = self._tied, {}
        written = _length(match["length"]) * self.unit
        self._add(AbcSound(written, [self._tone(match, written, tied)]))

    def add_chord(self, inner: str, factor: str) -> Iterator[str]:
        """Add a chord (4.17): as long as its first note, each length multiplied by that behind it; yield its texts."""
        tied, self._tied = self._tied, {}
        times = _length(factor) * self.unit
        tones: list[Tone] = []
        for match in INNER.finditer(inner):
            if match["note"]:
                tones.append(self._tone(match, _length(match["length"]) * times, tied))
            elif match["tie"] and tones:
                self._tie(tones[-1:])
            elif match["text"] or match["other"]:
                yield match["text"] or match["other"]
        if tones:
            self._add(AbcSound(tones[0].length, tones))

    def add_rest(self, written: str) -> None:
        """Add a rest."""
        self._tied = {}
        self._add(AbcSound(_length(written) * self.unit, []))

    def add_bar(self, bar: Bar) -> None:
        """Add a bar line, at which accidentals end."""
        self._accidentals.clear()
        self.line.append(None)
        self.events.append(bar)

    def add_overlay(self, bars: int) -> None:
        """Go back to the beginning of the bar, or of so many bars."""
        self._accidentals.clear()
        self._last = None
        self.events.append(Overlay(bars))

    def _tone(self, match: re.Match[str], written: Fraction, tied: dict[tuple[str, int], int]) -> Tone:
        letter = match["letter"].upper()
        pitch = staff_pitch(match["letter"], match["octave"])
        altered = alteration(match["accidental"])
        held = (letter, 0 if self.spread == "pitch" else pitch)
        if altered is None:
            altered = tied.get((letter, pitch))
            if altered is None:
                altered = self._accidentals.get(held)
            if altered is None:
                altered = self._altered.get(letter, 0)
        elif self.spread != "not":
            self._accidentals[held] = altered
        sounding = pitch + altered + 12 * (self.clef_octave + self.octave) + self.raised
        return Tone(sounding, written, self.velocity, (letter, pitch), altered)

    def _add(self, sound: AbcSound) -> None:
        if self._left:
            self._left -= 1
            assert self._factor is not None
            self._stretch(sound, self._factor)
        if self._broken is not None and self._last is not None:
            if self._last.length == sound.length:
                self._stretch(self._last, self._broken[0])
                self._stretch(sound, self._broken[1])
            else:  # undefined by 4.4
                self.problems.append("broken rhythm between notes of different lengths; read them at their lengths")
            self._broken = None
        if not sound.length:
            self.problems.append("notes of no length; left out")
        self.events.append(sound)
        self._last = sound
        if sound.tones:
            self.line.append(sound)
            self.notes += len(sound.tones)

    @staticmethod
    def _stretch(sound: AbcSound, factor: Fraction) -> None:
        sound.length *= factor
        for tone in sound.tones:
            tone.length *= factor

    # ---- what stands between notes -----------------------------------------------------------------------------------

    def tie(self) -> bool:
        """Tie the last note or chord to what follows; False where there is none."""
        if self._last is None or not self._last.tones:
            return False
        self._tie(self._last.tones)
        return True

    def _tie(self, tones: list[Tone]) -> None:
        for tone in tones:
            tone.is_tied = True
            self._tied[tone.place] = tone.altered

    def break_rhythm(self, signs: str) -> bool:
        """Lengthen the last note and shorten the next, or the other way round (4.4); False where there is no last."""
        if self._last is None or len(signs) > 3:
            return False
        short = Fraction(1, 2 ** len(signs))
        self._broken = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        return True

    def begin_tuplet(self, factor: Fraction, notes: int) -> None:
        """Multiply the lengths of the next notes."""
        self._factor, self._left = factor, notes


def _length(text: str) -> Fraction:
    factor = length(text)
    if factor is None:
        raise TooLong(text)
    return factor

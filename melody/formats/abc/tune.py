"""A tune as written: its lines, one after another, to fields of the tune and events of its voices.

A line is a field, a directive or music before anything else is made of it; a directive that is not known here does
nothing, wherever it stands, and no file is ever opened. Source: ABC 2.1, sections 3, 4, 7 and 11.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.abc import fields
from melody.formats.abc.directives import directive
from melody.formats.abc.events import AbcPart, AbcSymbol, Rests, TempoChange, Words
from melody.formats.abc.music import MAX_UNITS, TOKEN, VELOCITIES, bar_of, tuplet
from melody.formats.abc.text import Line, Tune, lines_of, plain
from melody.formats.abc.voice import TooLong, Voice
from melody.formats.abc.words import align
from melody.formats.midi.events import Repairs

MAX_VOICES = 256
MAX_REST_BARS = 2_000
MAX_VERSES = 64
_ROADS = re.compile(r"D\.[CS]\.|dacapo|dacoda|dalsegno", re.IGNORECASE)
_IGNORED = set("ABCDFGHNORSXZrt") | {"U"}  # of the tune as a whole, for people


@dataclass
class WrittenTune:
    """A tune as written, and what had to be said of it."""

    name: str  # of the file and the tune, for messages
    repairs: Repairs
    remarks: Repairs
    title: str = ""
    parts: str = ""  # the order in which parts are played
    voices: dict[str, Voice] = field(default_factory=dict)
    programs: dict[int, int] = field(default_factory=dict)  # by channel
    drums: dict[tuple[str, int, int], int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)  # what was not kept, by kind


class AbcTuneReader:
    """State of the reading of a tune."""

    def __init__(self, written: WrittenTune) -> None:
        self.written = written
        self.start = Voice("")  # how voices begin
        self.unit: Fraction | None = None  # as L: gives it, of a whole note
        self.tempo = ""
        self.declared: list[tuple[str, fields.Properties]] = []
        self.in_body = False
        self.voice: Voice | None = None
        self.line = 0
        self.music_line = 0
        self.goes_on = False
        self.part, self.parts = "", 0  # the part being written, and how many marks of parts there were
        self._heed = {kind: getattr(self, f"_read_{kind}", self._read_other) for kind in TOKEN.groupindex}
        self._heed["both"] = self._heed["variant"] = self._read_bar

    @property
    def place(self) -> str:
        """The line being read, for messages."""
        return f"line {self.line}"

    def mend(self, sentence: str, what: str = "") -> None:
        """State a repair at the present line."""
        self.written.repairs.add(sentence, f"{self.place}: {what[:40]}" if what else self.place)

    def remark(self, sentence: str, what: str = "") -> None:
        """State what is sound but has no place in a score."""
        self.written.remarks.add(sentence, f"{self.place}: {what[:40]}" if what else self.place)

    # ---- lines -------------------------------------------------------------------------------------------------------

    def read(self, header: list[Line], tune: Tune) -> None:
        """Read all lines, those of the file's header first. Raises `UnreadableFile` or `LimitExceeded`."""
        for line in header:
            self._read(line)
        for line in lines_of(tune):
            self._read(line)
        if not self.in_body:
            raise UnreadableFile(
                f"{self.written.name}: has no K: line, which ends a tune's header; add one such as K:C"
            )

    def _read(self, line: Line) -> None:
        self.line = line.number
        if line.kind == "end":
            if _looks_like_music(line.value):
                self.remark("text behind the empty line that ends a tune; left out", line.value.split("\n")[0])
        elif line.kind == "%":
            directive(self, line.value)
        elif line.kind:
            self.field(line.kind, line.value)
        elif self.in_body:
            self._music(line.value)
        else:
            self.mend("a line in the header that is no field; left out", line.value.strip())

    def field(self, letter: str, value: str) -> None:
        """Heed a field, of a line of its own or in the music."""
        handler = getattr(self, f"_field_{letter}", None)
        if handler is not None:
            handler(value)
        elif letter not in _IGNORED:
            self.remark(f"a field {letter}: that melody does not know; left out")

    # ---- fields ------------------------------------------------------------------------------------------------------

    def _field_T(self, value: str) -> None:
        self.written.title = self.written.title or plain(value)

    def _field_P(self, value: str) -> None:
        if not self.in_body:
            self.written.parts = value
            return
        self.part, self.parts = value.strip()[:1], self.parts + 1

    def _field_M(self, value: str) -> None:
        is_sound, meter = fields.parse_meter(value)
        if not is_sound:
            self.mend("a meter that makes no sense; kept the one before", value)
        elif self._begun():
            self.current().set_meter(meter)
        else:
            self.start.meter = meter

    def _field_L(self, value: str) -> None:
        unit = fields.parse_fraction(value)
        if unit is None or not Fraction(1, 512) <= unit <= 4 or unit.denominator & (unit.denominator - 1):
            self.mend("a unit length that makes no sense; kept the one before", value)
        elif self._begun():
            self.current().unit = 4 * unit
        else:
            self.unit = unit
            self.start.unit = 4 * unit

    def _field_Q(self, value: str) -> None:
        if not self._begun():
            self.tempo = value
            return
        voice = self.current()
        qpm = fields.parse_tempo(value, voice.unit / 4)
        if qpm is not None:
            voice.events.append(TempoChange(qpm))
        elif '"' in value:
            self.remark("a tempo in words; left out", value)
        elif value:
            self.mend("a tempo that makes no sense; kept the one before", value)

    def _field_K(self, value: str) -> None:
        key, props = fields.parse_key(value)
        self._say_unknown(props)
        if not self.in_body:
            self._begin_body(key, props)
            return
        voices = [self.current()] if self._begun() else [self.start]
        for voice in voices:
            voice.set_properties(props)
            if key is not None:
                voice.set_key(key)

    def _field_V(self, value: str) -> None:
        label, props = fields.parse_voice(value)
        self._say_unknown(props)
        if not label:
            self.mend("a voice without a name; left out")
        elif self.in_body:
            self.voice = self._voice(label)
            self.voice.set_properties(props)
        else:
            self.declared.append((label, props))

    def _field_I(self, value: str) -> None:
        directive(self, value)

    def _field_m(self, value: str) -> None:
        self.remark("a macro (m:), which is not played out; what stands in the music was read", value)

    def _field_W(self, value: str) -> None:
        self.remark("words below the tune (W:); left out", value)

    def _field_s(self, value: str) -> None:
        self.remark("a line of symbols (s:); left out", value)

    def _field_w(self, value: str) -> None:
        voice = self.voice
        if voice is None or voice.verse >= MAX_VERSES:
            self.mend("words without notes above them; left out", value)
            return
        if not align(voice.line, voice.verse, plain(value)):
            self.mend("more syllables than notes; left the rest out", value)
        voice.verse += 1

    def _say_unknown(self, props: fields.Properties) -> None:
        for word in props.unknown:
            self.remark("a property of a key or voice that melody does not know; left out", word)

    # ---- voices ------------------------------------------------------------------------------------------------------

    def _begin_body(self, key: fields.AbcKey | None, props: fields.Properties) -> None:
        self.in_body = True
        self.start.set_properties(props)
        self.start.key = key or fields.NO_KEY
        if self.unit is None:
            self.start.unit = 4 * fields.unit_length(self.start.meter)
        for label, own in self.declared:
            self._voice(label).set_properties(own)
        self.voice = None

    def _begun(self) -> bool:
        """Return if a field belongs to a voice, and not to all that are to come."""
        return self.in_body and self.voice is not None

    def current(self) -> Voice:
        """The voice being written; music before any `V:` belongs to the first."""
        if self.voice is None:
            self.voice = self._voice(next(iter(self.written.voices), "1"))
        return self.voice

    def writing(self) -> Voice:
        """The voice being written, where music comes: it has come to the line and the part."""
        voice = self.current()
        voice.begin_line(self.music_line)
        if voice.part != self.parts:
            voice.part = self.parts
            voice.events.append(AbcPart(self.part))
        return voice

    def _voice(self, label: str) -> Voice:
        voices = self.written.voices
        if label in voices:
            return voices[label]
        if len(voices) >= MAX_VOICES:
            raise LimitExceeded(f"{self.written.name}: over {MAX_VOICES} voices, all that melody reads")
        voice = voices[label] = self.start.copy(label)
        voice.set_meter(voice.meter)
        voice.set_key(voice.key)
        qpm = fields.parse_tempo(self.tempo, voice.unit / 4) if self.tempo else None
        if qpm is not None:
            voice.events.append(TempoChange(qpm))
        elif self.tempo and len(voices) == 1:
            self.remark("a tempo in words, or one that makes no sense; left out", self.tempo)
        return voice

    # ---- music -------------------------------------------------------------------------------------------------------

    def _music(self, text: str) -> None:
        """Read a line of music; one behind a backslash belongs to the line before, as to its words."""
        if not self.goes_on:
            self.music_line += 1
        self.goes_on = text.rstrip().endswith("\\")
        position, end = 0, len(text)
        while position < end:
            match = TOKEN.match(text, position)
            assert match is not None  # any character is a token
            assert match.lastgroup is not None
            position = match.end()
            try:
                self._heed[match.lastgroup](match)
            except TooLong as error:
                raise LimitExceeded(
                    f"{self.written.name}: {self.place}: a length of {str(error)[:20]}; melody reads notes of up to "
                    f"{MAX_UNITS:,} units"
                ) from None
        for problem in self.start.problems:
            self.mend(problem)
        self.start.problems.clear()

    def _read_note(self, match: re.Match[str]) -> None:
        self.writing().add_note(match)

    def _read_bar(self, match: re.Match[str]) -> None:
        self.writing().add_bar(bar_of(match))

    def _read_tie(self, match: re.Match[str]) -> None:
        if not self.writing().tie():
            self.mend("a tie without a note before; left out")

    def _read_text(self, match: re.Match[str]) -> None:
        """Take a chord symbol (4.18); an annotation begins with one of ^_<>@ (4.19)."""
        self._text(match[0][1:-1])

    def _read_space(self, match: re.Match[str]) -> None:
        if "(" in match[0]:
            self.written.left_out["slurs"] += 1

    def _read_grace(self, match: re.Match[str]) -> None:
        self.written.left_out["grace notes"] += sum(letter in "ABCDEFGabcdefg" for letter in match[0])

    def _text(self, text: str) -> None:
        text = " ".join(plain(text).split())
        if text[:1] in tuple("^_<>@"):
            self.writing().events.append(Words(text[1:].strip()))
        elif text:
            self.writing().events.append(AbcSymbol(text))

    def _read_broken(self, match: re.Match[str]) -> None:
        if not self.writing().break_rhythm(match[0]):
            self.mend("broken rhythm without a note before; left out", match[0])

    def _read_rest(self, match: re.Match[str]) -> None:
        self.writing().add_rest(match["rest_length"])

    def _read_field(self, match: re.Match[str]) -> None:
        self.field(match["letter_of"], match["value"].strip())

    def _read_chord(self, match: re.Match[str]) -> None:
        for text in self.writing().add_chord(match["inner"], match["chord_length"]):
            if text.startswith('"'):
                self._text(text[1:-1])
            elif not text.isspace():
                self.mend("characters that mean nothing in a chord; left out", text)

    def _read_plus(self, match: re.Match[str]) -> None:
        """Take a chord as early ABC wrote it (10.1): +CEG+."""
        for _ in self.writing().add_chord(match["plus_inner"], match["plus_length"]):
            pass

    def _read_label(self, match: re.Match[str]) -> None:
        self._text(f"^{match[0][2:-1]}")

    def _read_tuplet(self, match: re.Match[str]) -> None:
        voice = self.writing()
        found = tuplet(int(match["p"][:3]), match["q"] or "", match["r"] or "", voice.is_compound)
        if found is None:
            self.mend("a tuplet that makes no sense; read its notes at their lengths", match[0])
        else:
            voice.begin_tuplet(*found)

    def _read_bars_rest(self, match: re.Match[str]) -> None:
        bars = int(match["bars"][:5] or 1)
        if bars > MAX_REST_BARS:
            raise LimitExceeded(
                f"{self.written.name}: {self.place}: a rest of {match['bars'][:20]} bars; "
                f"melody reads up to {MAX_REST_BARS:,}"
            )
        self.writing().events.append(Rests(bars))

    def _read_decoration(self, match: re.Match[str]) -> None:
        """Take dynamics; nothing else that stands over a note changes it (4.14)."""
        name = match[0].strip("!+")
        if name in VELOCITIES:
            self.writing().velocity = VELOCITIES[name]
        elif len(name) > 3 and _ROADS.match(name):
            self.remark("a sign to go back or ahead, which is not played out", name)
        else:
            self.written.left_out["marks over notes"] += 1

    def _read_overlay(self, match: re.Match[str]) -> None:
        self.writing().add_overlay(len(match[0]))

    def _read_other(self, match: re.Match[str]) -> None:
        self.mend("characters that mean nothing in music; left out", match[0])


def _looks_like_music(text: str) -> bool:
    """Return if text behind a tune holds bars of notes."""
    return re.search(r"^(?![A-Za-z]:|%).*[A-Ga-g][,']*\d*\s*\|", text, re.MULTILINE) is not None
